package ipc

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestGoingAway checks the three things that a leaving daemon promises: what is in flight is answered, what comes later
// reaches the next instance, and the announcement is repeated when nothing more will be answered.
func TestGoingAway(t *testing.T) {
	mux, gate := testMux(), make(chan struct{})
	slow := Unary[Empty, string]{Name: "test.slow"}
	slow.Handle(mux, func(context.Context, Empty) (string, error) {
		<-gate
		return "done", nil
	})
	bubble(t, &Server{Mux: mux}, func(t *testing.T, r *rig) {
		gate = make(chan struct{}) // of this bubble
		drain := make(chan struct{})
		c := r.client(drain)
		done := make(chan error)
		go func() {
			_, err := slow.Call(t.Context(), c, Empty{})
			done <- err
		}()
		synctest.Wait()
		close(drain)
		synctest.Wait()
		if _, err := Ping.Call(t.Context(), c, Empty{}); err != nil {
			t.Errorf("a call after the announcement: %v", err)
		}
		if len(c.conns) != 2 {
			t.Errorf("%d connections", len(c.conns))
		}
		close(gate)
		if err := <-done; err != nil {
			t.Errorf("the call in flight: %v", err)
		}
		synctest.Wait()
		if len(c.conns) != 1 {
			t.Errorf("%d connections in the end", len(c.conns))
		}
		c.Close()
	})
}

func TestGoingAwayOnTheWire(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		ours, theirs := net.Pipe()
		drain, ended := make(chan struct{}), make(chan struct{})
		end := &drainedConn{Conn: theirs, drain: ended}
		r.served.Go(func() { r.server.ServeConn(r.ctx, end, drain) })
		c := rawOver(t, ours)
		c.send(1, callOf("test.hang"))
		close(drain)
		c.expect(0, GoingAway, nil)
		stream := callOf("test.count")
		stream.arguments = unhex(t, "a1 00 60")
		c.send(2, stream)
		c.expect(2, GoingAway, nil)
		c.send(3, callOf("ipc.ping"))
		c.expect(3, 0, nil)
		c.send(1, nil)
		c.expect(1, Cancelled, nil)
		c.write([]byte{0, 0}) // half a frame is no request
		close(ended)
		theirs.SetReadDeadline(time.Now())
		c.expect(0, GoingAway, nil)
		c.expectEnd()
	})
}

func TestWhatWasNotExecutedIsSentAgain(t *testing.T) {
	pingOK := func(conn net.Conn) { answerTo(t, conn, response{}) }
	tests := []struct {
		name   string
		before func(net.Conn)     // what the first daemon does before the call
		until  func(*Client) bool // when the client has noticed
		after  func(net.Conn)
	}{
		{name: "going away as the answer", after: func(conn net.Conn) {
			answerTo(t, conn, response{isError: true, code: uint64(GoingAway)})
		}},
		{name: "announced twice and not read", after: func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1)) // the call is written
			announce(conn)
			announce(conn)
		}},
		{name: "announced before the call", before: announce, until: func(c *Client) bool { return c.current.Load() == nil }},
		{name: "refused by the socket", before: func(conn net.Conn) { _ = conn.(*net.UnixConn).CloseRead() }},
	}
	for _, test := range tests {
		connect := func(t *testing.T) *Client {
			ready, called := make(chan struct{}), make(chan struct{})
			c := script(t, func(conn net.Conn) {
				if test.before != nil {
					test.before(conn)
				}
				close(ready)
				if test.after != nil {
					test.after(conn)
				}
				<-called
			}, pingOK)
			t.Cleanup(func() { close(called) })
			if _, err := c.connect(t.Context(), time.Time{}); err != nil {
				t.Fatal(err)
			}
			<-ready
			for test.until != nil && !test.until(c) {
				time.Sleep(time.Millisecond)
			}
			return c
		}
		t.Run(test.name, func(t *testing.T) {
			if _, err := Ping.Call(t.Context(), connect(t), Empty{}); err != nil {
				t.Error(err)
			}
		})
		t.Run(test.name+", stream", func(t *testing.T) {
			for _, err := range count.Call(t.Context(), connect(t), echoArgs{}) {
				t.Error(err)
			}
		})
	}
}

// TestHalfSentCalls fills the socket of a daemon that then leaves: calls of which not every byte was sent are sent again.
func TestHalfSentCalls(t *testing.T) {
	full := make(chan struct{})
	c := script(t, func(conn net.Conn) {
		<-full
		conn.Close()
	}, func(conn net.Conn) {
		for {
			var r request
			frame, err := readFrame(conn)
			if err != nil || r.parse(frame) != nil {
				return
			}
			a := response{rq: r.rq, payload: []byte{0x40}}
			if _, err := conn.Write(a.appendTo(nil)); err != nil {
				return
			}
		}
	})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := echo.Call(t.Context(), c, make([]byte, 3<<20)); err != nil {
				t.Error(err)
			}
		})
	}
	conn, err := c.connect(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for !stuck(conn.out) {
		time.Sleep(time.Millisecond)
	}
	close(full)
	wg.Wait()
}

// stuck reports whether the socket is full and more is waiting.
func stuck(w *writer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.busy && w.queued > 3<<20
}

func TestWhatMayHaveBeenExecutedIsNotSentAgain(t *testing.T) {
	for _, announced := range []bool{false, true} {
		c := script(t, func(conn net.Conn) {
			_, _ = readFrame(conn)
			if announced {
				announce(conn) // once: it has not answered everything
			}
		})
		_, err := c.CallRaw(t.Context(), "test.change", nil)
		if CodeOf(err) != Unavailable || !strings.Contains(HintOf(err), "may have been executed") {
			t.Errorf("%v, hint %q", err, HintOf(err))
		}
	}
}

func announce(conn net.Conn) {
	_, _ = conn.Write(appendError(nil, []byte(reservedID), GoingAway))
}
