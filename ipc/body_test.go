package ipc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// TestArgumentsAfterTheCall gives up a call of which only a part is sent: what the caller then does with the memory of its
// argument must not reach the daemon.
func TestArgumentsAfterTheCall(t *testing.T) {
	const size = 3 << 20
	resume, got := make(chan struct{}), make(chan []byte, 1)
	c := script(t, func(conn net.Conn) {
		<-resume
		var r request
		var k call
		frame, err := readFrame(conn)
		if err := errors.Join(err, r.parse(frame), k.parse(r.payload)); err != nil {
			t.Error(err)
		}
		got <- k.arguments
	})
	conn, err := c.connect(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	argument := bytes.Repeat([]byte{'a'}, size)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !stuck(conn.out) {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := echo.Call(ctx, c, argument); CodeOf(err) != Cancelled {
		t.Fatal(err)
	}
	clear(argument)
	close(resume)
	if want := appendString(nil, majorBytes, bytes.Repeat([]byte{'a'}, size)); !bytes.Equal(<-got, want) {
		t.Error("the daemon got bytes that were written after the call")
	}
}

// TestView checks that a result is the caller's until f returns, small or large, and that the errors of both get through.
func TestView(t *testing.T) {
	c := testClient(t, serve(t, &Server{Mux: testMux()}))
	for _, size := range []int{0, 1, largeFrame, 1 << 20} {
		for i := range byte(3) { // again, as memory is used again
			want := bytes.Repeat([]byte{i}, size)
			err := echo.View(t.Context(), c, want, func(got []byte) error {
				if !bytes.Equal(got, want) {
					t.Errorf("%d bytes came back as %d others", size, len(got))
				}
				if _, err := echoSlow.Call(t.Context(), c, make([]byte, size)); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%d bytes changed during another call", size)
				}
				return errClosed
			})
			if !errors.Is(err, errClosed) {
				t.Error(err)
			}
		}
	}
	err := failing.View(t.Context(), c, Empty{}, func(Empty) error {
		t.Error("called without a result")
		return nil
	})
	if CodeOf(err) != NotFound {
		t.Error(err)
	}
}
