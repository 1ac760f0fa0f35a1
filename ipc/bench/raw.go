package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// The floor: a 32-bit length and as many bytes, no ids. Plain raw does one write per message; coalesced flushes when
// nothing is left to read, which is what pipelining can gain at most.

func serveRaw(l net.Listener) error { return acceptAll(l, func(c net.Conn) { echoFrames(c, false) }) }
func serveCoalesced(l net.Listener) error {
	return acceptAll(l, func(c net.Conn) { echoFrames(c, true) })
}

func acceptAll(l net.Listener, serve func(net.Conn)) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

func echoFrames(c net.Conn, coalesce bool) {
	r, w := bufio.NewReaderSize(c, 64<<10), bufio.NewWriterSize(c, 64<<10)
	var frame []byte
	for {
		var err error
		if frame, err = readFrame(r, frame); err != nil {
			return
		}
		if !coalesce {
			if _, err := c.Write(frame); err != nil {
				return
			}
			continue
		}
		w.Write(frame)
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
	}
}

// readFrame reads a frame with its length into buf, which it grows as needed.
func readFrame(r *bufio.Reader, buf []byte) ([]byte, error) {
	head, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := 4 + int(binary.BigEndian.Uint32(head))
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	_, err = io.ReadFull(r, buf[:n])
	return buf[:n], err
}

type rawConn struct {
	mu       sync.Mutex // one echo at a time: without ids there is nothing to tell answers apart
	c        net.Conn
	r        *bufio.Reader
	coalesce bool
	out, in  []byte
}

// A coalescedConn is a rawConn that coalesces.
type coalescedConn struct{ *rawConn }

func dialRaw(path string) (caller, error) { return dialFrames(path, false) }

func dialCoalesced(path string) (caller, error) {
	r, err := dialFrames(path, true)
	return coalescedConn{r}, err
}

func dialFrames(path string, coalesce bool) (*rawConn, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return &rawConn{c: c, r: bufio.NewReaderSize(c, 64<<10), coalesce: coalesce}, nil
}

func (r *rawConn) Echo(payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = appendFrame(r.out[:0], payload)
	if _, err := r.c.Write(r.out); err != nil {
		return err
	}
	var err error
	r.in, err = readFrame(r.r, r.in)
	return err
}

func appendFrame(b, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(payload))), payload...)
}

// Window writes from one goroutine and reads from another; tokens bound what is in flight.
func (r *rawConn) Window(payload []byte, n, count int) error {
	tokens := make(chan struct{}, n)
	written := make(chan error, 1)
	go func() { written <- r.writeAll(payload, count, tokens) }()
	for range count {
		var err error
		if r.in, err = readFrame(r.r, r.in); err != nil {
			return err
		}
		<-tokens
	}
	return <-written
}

func (r *rawConn) writeAll(payload []byte, count int, tokens chan struct{}) error {
	frame := appendFrame(nil, payload)
	w := bufio.NewWriterSize(r.c, 64<<10)
	for range count {
		select {
		case tokens <- struct{}{}:
		default: // the window is full: what is buffered must go out before anything comes back
			if err := w.Flush(); err != nil {
				return err
			}
			tokens <- struct{}{}
		}
		w.Write(frame)
		if !r.coalesce {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// Batch has as many in flight as a batch of ipc.
func (c coalescedConn) Batch(payload []byte, n int) error { return c.Window(payload, 768, n) }

func (r *rawConn) Close() error { return r.c.Close() }
