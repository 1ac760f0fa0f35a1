package ipc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A rig is a server, its clients and the pipes between them. It is for synctest: at the end of the bubble every goroutine
// of ours must be gone, or the test fails.
type rig struct {
	t      *testing.T
	server *Server
	ctx    context.Context
	stop   context.CancelFunc
	served sync.WaitGroup
}

func bubble(t *testing.T, s *Server, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, server: s}
		r.ctx, r.stop = context.WithCancel(t.Context())
		f(t, r)
		r.stop()
		r.served.Wait()
	})
}

// connect returns the client's end of a new connection. When drain closes, the server reads the end of its input, as
// ipc/activate arranges; nil for never.
func (r *rig) connect(drain <-chan struct{}) net.Conn {
	ours, theirs := net.Pipe()
	end := &drainedConn{Conn: theirs, drain: drain}
	r.served.Go(func() { r.server.ServeConn(r.ctx, end, drain) })
	if drain != nil {
		go func() {
			<-drain
			theirs.SetReadDeadline(time.Now())
		}()
	}
	return ours
}

// A drainedConn reads io.EOF once drain is closed, like a socket after CloseRead.
type drainedConn struct {
	net.Conn
	drain <-chan struct{}
}

func (c *drainedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.drain:
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = io.EOF
		}
	default:
	}
	return n, err
}

// client returns a client whose connections are told to go away by closing the channels, one for each in turn.
func (r *rig) client(drains ...chan struct{}) *Client {
	c := NewClient("pipe", "test/1")
	c.dial = func(context.Context, string) (net.Conn, error) {
		var drain chan struct{}
		if len(drains) > 0 {
			drain, drains = drains[0], drains[1:]
		}
		return r.connect(drain), nil
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// A rawConn speaks the wire without a Client.
type rawConn struct {
	t testing.TB
	net.Conn
	answers chan response
}

func (r *rig) raw(drain <-chan struct{}) *rawConn { return rawOver(r.t, r.connect(drain)) }

// rawOver reads answers in the background, as a pipe holds none.
func rawOver(t testing.TB, conn net.Conn) *rawConn {
	c := &rawConn{t: t, Conn: conn, answers: make(chan response, 1000)}
	go func() {
		defer close(c.answers)
		for {
			frame, err := readFrame(conn)
			if err != nil {
				return
			}
			var a response
			if err := a.parse(frame); err != nil {
				t.Errorf("answer %x: %v", frame, err)
			}
			c.answers <- a
		}
	}()
	return c
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// send sends the call c with the number id, or a cancel without one.
func (c *rawConn) send(id uint32, k *call) {
	c.t.Helper()
	r := request{ua: exampleUA, rq: binary.BigEndian.AppendUint32(nil, id)}
	if k != nil {
		r.payload = k.appendTo(nil)
	}
	c.write(r.appendTo(nil))
}

func (c *rawConn) write(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// expect checks the next answer: its id, its code (0 for ok) and its payload.
func (c *rawConn) expect(id uint32, code Code, payload []byte) {
	c.t.Helper()
	a, ok := <-c.answers
	switch {
	case !ok:
		c.t.Fatal("the connection ended")
	case binary.BigEndian.Uint32(a.rq) != id || Code(a.code) != code || string(a.payload) != string(payload):
		c.t.Fatalf("got %x, code %d, payload %x, %q", a.rq, a.code, a.payload, a.message)
	}
}

// expectEnd checks that the server hung up without another word.
func (c *rawConn) expectEnd() {
	c.t.Helper()
	if a, ok := <-c.answers; ok {
		c.t.Fatalf("got %x, code %d, payload %x, %q", a.rq, a.code, a.payload, a.message)
	}
}

func callOf(method string) *call { return &call{method: []byte(method)} }
