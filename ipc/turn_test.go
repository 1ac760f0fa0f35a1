package ipc

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCancelInTheMiddleOfAnAnswer gives up a lone call while half of its answer has come: the caller is back at once, and
// the other half disturbs nobody.
func TestCancelInTheMiddleOfAnAnswer(t *testing.T) {
	for _, size := range []int{100, 2 * largeBuffer} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			c := NewClient("pipe", "test/1")
			c.dial = func(context.Context, string) (net.Conn, error) { return ours, nil }
			half, rest := make(chan struct{}), make(chan struct{})
			go func() {
				readFrame(theirs)
				answer := (&response{rq: exampleRQ, payload: appendString(nil, majorBytes, make([]byte, size))}).appendTo(nil)
				theirs.Write(answer[:len(answer)/2])
				close(half)
				<-rest
				var cancelled sync.WaitGroup
				cancelled.Go(func() { readFrame(theirs) })
				theirs.Write(answer[len(answer)/2:])
				cancelled.Wait()
				answerTo(t, theirs, response{payload: []byte{0x41, 'x'}})
			}()
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-half
				cancel()
			}()
			if _, err := echo.Call(ctx, c, nil); CodeOf(err) != Cancelled {
				t.Errorf("%d bytes: %v", size, err)
			}
			close(rest)
			synctest.Wait()
			if got, err := echo.Call(t.Context(), c, nil); string(got) != "x" || err != nil {
				t.Errorf("%d bytes: then %q, %v", size, got, err)
			}
			c.Close()
			theirs.Close()
		})
	}
}

// TestIdleConnectionIsWatched checks that a connection which lone callers used notices by itself that its daemon leaves.
func TestIdleConnectionIsWatched(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		drain := make(chan struct{})
		c := r.client(drain)
		for range 3 {
			if _, err := Ping.Call(t.Context(), c, Empty{}); err != nil {
				t.Fatal(err)
			}
		}
		close(drain)
		time.Sleep(idleWatch)
		synctest.Wait()
		if len(c.conns) != 0 || c.current.Load() != nil {
			t.Errorf("%d connections", len(c.conns))
		}
		if _, err := Ping.Call(t.Context(), c, Empty{}); err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

// TestTurns has callers come and go, give up and stream, so that the turn to read changes hands all the time; everybody
// must get what is theirs.
func TestTurns(t *testing.T) {
	c := testClient(t, serve(t, &Server{Mux: testMux()}))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				want := binary.BigEndian.AppendUint64(nil, uint64(i)<<32|uint64(n))
				ctx, cancel := context.WithCancel(t.Context())
				method := []Unary[[]byte, []byte]{echo, echoSlow}[n%2]
				switch n % 10 {
				case 3:
					time.AfterFunc(time.Duration(n%7)*10*time.Microsecond, cancel)
				case 7:
					for got, err := range count.Call(ctx, c, echoArgs{Text: "x", N: 3}) {
						if got > 2 || err != nil {
							t.Error(got, err)
						}
					}
				}
				got, err := method.Call(ctx, c, want)
				if string(got) != string(want) && (n%10 != 3 || CodeOf(err) != Cancelled) {
					t.Errorf("%x: %x, %v", want, got, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}
