package ipc

import (
	"context"
	"encoding/binary"
	"iter"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHalfFrames(t *testing.T) {
	frame := (&request{ua: exampleUA, rq: exampleRQ, payload: callOf("ipc.ping").appendTo(nil)}).appendTo(nil)
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		for n := range frame {
			c := r.raw(nil)
			c.write(frame[:n])
			c.Close()
		}
		c := r.raw(nil)
		start := time.Now()
		for i := range frame {
			time.Sleep(time.Second)
			c.write(frame[i : i+1])
		}
		c.expect(1, 0, nil)
		if took := time.Since(start); took != time.Duration(len(frame))*time.Second {
			t.Errorf("took %v", took)
		}
		c.Close()
	})
}

// TestPeerThatNeverReads checks that a peer which asks and does not listen is held up at once, and cut off after a while.
func TestPeerThatNeverReads(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		conn := r.connect(nil)
		start, written := time.Now(), uint32(0)
		for written < 1e6 {
			r := request{ua: exampleUA, rq: binary.BigEndian.AppendUint32(nil, written+1), payload: callOf("ipc.describe").appendTo(nil)}
			if _, err := conn.Write(r.appendTo(nil)); err != nil {
				break
			}
			written++
		}
		const refusals = highWater / 100 // what is queued may all be refusals of about 100 bytes
		if took := time.Since(start); took != defaultStall || written > defaultMaxInFlight+2*refusals {
			t.Errorf("cut off after %v and %d requests", took, written)
		}
	})
}

// TestOthersGoOn checks that a handler that never returns, and a stream nobody reads, hold up nobody else.
func TestOthersGoOn(t *testing.T) {
	mux, release := testMux(), make(chan struct{})
	stuck := Unary[Empty, Empty]{Name: "test.stuck"}
	stuck.Handle(mux, func(context.Context, Empty) (Empty, error) {
		<-release
		return Empty{}, nil
	})
	bubble(t, &Server{Mux: mux}, func(t *testing.T, r *rig) {
		release = make(chan struct{}) // of this bubble
		c := r.client()
		next, stopPull := iter.Pull2(count.Call(t.Context(), c, echoArgs{Text: "slow", N: 1e6}))
		next()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := stuck.Call(ctx, c, Empty{}); CodeOf(err) != DeadlineExceeded {
			t.Errorf("stuck: %v", err)
		}
		cancel()
		n := uint(0)
		for i, err := range count.Call(t.Context(), c, echoArgs{Text: "fast", N: 100_000}) {
			if err != nil || i != n {
				t.Fatal(i, err)
			}
			n++
		}
		if _, err := Ping.Call(t.Context(), c, Empty{}); err != nil || n != 100_000 {
			t.Errorf("%d items, %v", n, err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		if i, err, ok := next(); i != 1 || err != nil || !ok {
			t.Errorf("slow stream: %d, %v, %v", i, err, ok)
		}
		stopPull()
		close(release)
		c.Close()
	})
}

func TestHandlerThatOutlivesItsConnection(t *testing.T) {
	mux := testMux()
	release := make(chan struct{})
	Unary[Empty, Empty]{Name: "test.stuck"}.Handle(mux, func(context.Context, Empty) (Empty, error) {
		<-release
		return Empty{}, nil
	})
	bubble(t, &Server{Mux: mux}, func(t *testing.T, r *rig) {
		release = make(chan struct{}) // of this bubble
		c := r.raw(nil)
		c.send(1, callOf("test.stuck"))
		synctest.Wait()
		start := time.Now()
		r.stop()
		c.expect(1, Unavailable, nil)
		c.expectEnd()
		if took := time.Since(start); took != stopTime {
			t.Errorf("took %v", took)
		}
		close(release)
	})
}

// TestDaemonThatHangs checks the deadline against a peer that does not even read.
func TestDaemonThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient("pipe", "test/1")
		c.dial = func(context.Context, string) (net.Conn, error) {
			ours, _ := net.Pipe()
			return ours, nil
		}
		start := time.Now()
		var wg sync.WaitGroup
		for _, size := range []int{1, highWater, 1, largeFrame} {
			wg.Go(func() {
				if _, err := echo.Call(t.Context(), c, make([]byte, size)); CodeOf(err) != DeadlineExceeded && CodeOf(err) != Unavailable {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != callTimeout {
			t.Errorf("took %v", took)
		}
		c.Close()
	})
}

func TestTooManyRequests(t *testing.T) {
	limits := Limits{MaxInFlight: 2, MaxHeld: 100}
	bubble(t, &Server{Mux: testMux(), Limits: limits}, func(t *testing.T, r *rig) {
		c := r.raw(nil)
		big := callOf("test.hang")
		big.arguments = appendString(nil, majorBytes, make([]byte, 200))
		c.send(1, big)
		c.expect(1, ResourceExhausted, nil)
		c.send(1, callOf("test.hang"))
		c.send(2, callOf("test.hang"))
		c.send(3, callOf("test.hang"))
		c.expect(3, ResourceExhausted, nil)
		c.send(1, nil)
		c.expect(1, Cancelled, nil)
		c.send(3, callOf("test.echo-slow"))
		c.expect(3, BadRequest, nil)
		c.Close()
	})
}

// TestRequestsStartInOrder checks the order in which handlers are entered, as far as the scheduler lets one see it.
func TestRequestsStartInOrder(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	mux := testMux()
	var mu sync.Mutex
	var order []uint64
	note := func(_ context.Context, i uint64) (Empty, error) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, i)
		return Empty{}, nil
	}
	Unary[uint64, Empty]{Name: "test.note"}.Handle(mux, note)
	Unary[uint64, Empty]{Name: "test.note-inline", Inline: true}.Handle(mux, note)
	bubble(t, &Server{Mux: mux}, func(t *testing.T, r *rig) {
		c := r.raw(nil)
		var frames []byte
		for i := range uint64(300) {
			method := []string{"test.note", "test.note", "test.note-inline"}[i%3]
			k := call{method: []byte(method), arguments: appendHead(nil, majorUint, i)}
			frames = (&request{ua: exampleUA, rq: binary.BigEndian.AppendUint32(nil, uint32(i+1)), payload: k.appendTo(nil)}).appendTo(frames)
		}
		c.write(frames)
		for range 300 {
			<-c.answers
		}
		late := 0 // taken off the processor between its start and its note
		for i := range order[1:] {
			if order[i] > order[i+1] {
				late++
			}
		}
		if len(order) != 300 || late > 5 {
			t.Errorf("order %v", order)
		}
		c.Close()
	})
}

// TestLargeAnswersOfInlineHandlers pipelines calls whose answers exceed what a connection queues: they must be flushed
// although more requests are buffered.
func TestLargeAnswersOfInlineHandlers(t *testing.T) {
	mux := testMux()
	Unary[Empty, []byte]{Name: "test.large", Inline: true}.Handle(mux, func(context.Context, Empty) ([]byte, error) {
		return make([]byte, highWater/4), nil
	})
	bubble(t, &Server{Mux: mux}, func(t *testing.T, r *rig) {
		c := r.raw(nil)
		var frames []byte
		for i := range uint32(100) {
			q := request{ua: exampleUA, rq: binary.BigEndian.AppendUint32(nil, i+1), payload: callOf("test.large").appendTo(nil)}
			frames = q.appendTo(frames)
		}
		c.write(frames)
		for range 100 {
			<-c.answers
		}
		c.Close()
	})
}

func TestConnectionsThatComeAndGo(t *testing.T) {
	path := serve(t, &Server{Mux: testMux()})
	before := runtime.NumGoroutine()
	frame := (&request{ua: exampleUA, rq: exampleRQ, payload: callOf("test.hang").appendTo(nil)}).appendTo(nil)
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			conn, err := Dial(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := conn.Write(frame[:i%(len(frame)+1)]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestSlowConsumerIsCancelled checks that the end of the context ends a stream whose items wait for their consumer: the
// daemon is told, and no more are yielded.
func TestSlowConsumerIsCancelled(t *testing.T) {
	activity := new(tally)
	bubble(t, &Server{Mux: testMux(), Activity: activity}, func(t *testing.T, r *rig) {
		c := r.client()
		ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
		defer cancel()
		items := 0
		for _, err := range count.Call(ctx, c, echoArgs{Text: "x", N: 1e6}) {
			if err != nil && CodeOf(err) != DeadlineExceeded {
				t.Error(err)
			}
			items++
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if items != 11 || activity.now != 0 {
			t.Errorf("%d items and an error, %d calls still run", items-1, activity.now)
		}
		c.Close()
	})
}
