package ipc

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// highWater is how much a connection queues before writers wait, in bytes.
const highWater = 256 << 10

// maxRounds is how often one writer writes on behalf of others before a goroutine takes over.
const maxRounds = 16

// A writer sends frames over a connection in the order of their commits. Whoever flushes writes everything that is queued
// in one system call, so frames coalesce exactly when there is more than one; nobody waits for a slow peer in a system
// call, because only what the socket takes at once is written in place and a goroutine writes the rest.
type writer struct {
	conn  net.Conn
	raw   syscall.RawConn // nil if conn has none: then a goroutine writes everything
	stall time.Duration   // a peer that takes nothing for so long is given up
	lost  func()          // called once, after the first failure, without locks held

	attempt func(fd uintptr) bool // writes out, without blocking
	out     []byte
	n       int
	failure error

	mu      sync.Mutex
	pending []byte // committed, not yet being written
	spare   []byte
	busy    bool   // somebody writes; attempt, out, n and failure are theirs
	queued  uint64 // bytes committed since the beginning
	written uint64 // bytes that the kernel has
	err     error
	room    chan struct{} // closed when pending was taken or writing ended; nil if nobody waits
}

func newWriter(conn net.Conn, stall time.Duration, lost func()) *writer {
	w := &writer{conn: conn, stall: stall, lost: lost}
	if c, ok := conn.(syscall.Conn); ok {
		w.raw, _ = c.SyscallConn()
	}
	w.attempt = w.writeNow
	return w
}

// begin locks the queue and returns it, for the caller to append whole frames and commit. It waits while the peer is
// slow and the queue is full, until ctx or deadline (if not zero) ends.
func (w *writer) begin(ctx context.Context, deadline time.Time) ([]byte, error) {
	for {
		w.mu.Lock()
		if w.err == nil && len(w.pending) < highWater {
			return w.pending, nil
		}
		if w.err != nil {
			w.mu.Unlock()
			return nil, w.err
		}
		room := w.roomLocked()
		w.mu.Unlock()
		if err := waitFor(ctx, room, deadline); err != nil {
			return nil, err
		}
	}
}

// beginUrgent is begin for small frames that must not wait: cancels, grants, going away.
func (w *writer) beginUrgent() ([]byte, error) {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return nil, w.err
	}
	return w.pending, nil
}

// commit queues what was appended since begin, and unlocks.
func (w *writer) commit(b []byte) {
	w.queued = w.end(b)
	w.pending = b
	w.mu.Unlock()
}

// end is the position in the stream behind what b, not yet committed, adds to the queue.
func (w *writer) end(b []byte) uint64 { return w.queued + uint64(len(b)-len(w.pending)) }

// flush writes what is queued as far as the socket takes it at once, unless somebody else is writing already.
func (w *writer) flush() {
	out := w.claim()
	for round := 0; out != nil; round++ {
		n, err := w.try(out)
		if err == nil && (n < len(out) || round == maxRounds) {
			go w.finish(out, n)
			return
		}
		out = w.settle(out, n, err)
	}
}

// flushSoon is flush on a goroutine of its own, for producers that rather prepare the next frame.
func (w *writer) flushSoon() {
	if out := w.claim(); out != nil {
		go w.finish(out, 0)
	}
}

// claim takes the queue for writing; nil if there is nothing to do or somebody else does it.
func (w *writer) claim() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy || w.err != nil || len(w.pending) == 0 {
		return nil
	}
	w.busy = true
	return w.takeLocked()
}

func (w *writer) takeLocked() []byte {
	out := w.pending
	w.pending, w.spare = w.spare[:0], nil
	w.wakeLocked()
	return out
}

// settle accounts for n written bytes of out and returns what to write next, if anything.
func (w *writer) settle(out []byte, n int, err error) []byte {
	w.mu.Lock()
	w.written += uint64(n)
	if cap(out) <= maxKept {
		w.spare = out[:0]
	}
	if err == nil && len(w.pending) > 0 {
		defer w.mu.Unlock()
		return w.takeLocked()
	}
	first := err != nil && w.err == nil
	if first {
		w.err = err
		w.pending = nil
	}
	w.busy = false
	w.wakeLocked()
	w.mu.Unlock()
	if first && w.lost != nil {
		w.lost()
	}
	return nil
}

// finish writes out from n on and whatever is queued meanwhile, waiting for the peer.
func (w *writer) finish(out []byte, n int) {
	for out != nil {
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.stall)) // if it fails, so does Write
		m, err := w.conn.Write(out[n:])
		_ = w.conn.SetWriteDeadline(time.Time{}) // while still busy: a stale deadline would fail the next try
		out, n = w.settle(out, n+m, err), 0
	}
}

// try writes without blocking.
func (w *writer) try(out []byte) (int, error) {
	if w.raw == nil {
		return 0, nil
	}
	w.out, w.n, w.failure = out, 0, nil
	err := w.raw.Write(w.attempt)
	w.out = nil
	if err == nil {
		err = w.failure
	}
	return w.n, err
}

func (w *writer) writeNow(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.out)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
		case err != nil:
			w.failure = os.NewSyscallError("write", err)
		default:
			w.n = n
		}
		return true
	}
}

// sent reports whether everything up to position end reached the kernel.
func (w *writer) sent(end uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return end <= w.written
}

// drain flushes and waits until everything is written or the connection is lost.
func (w *writer) drain(ctx context.Context, deadline time.Time) error {
	w.flush()
	for {
		w.mu.Lock()
		if w.err != nil || !w.busy && len(w.pending) == 0 {
			defer w.mu.Unlock()
			return w.err
		}
		room := w.roomLocked()
		w.mu.Unlock()
		if err := waitFor(ctx, room, deadline); err != nil {
			return err
		}
	}
}

func (w *writer) roomLocked() <-chan struct{} {
	if w.room == nil {
		w.room = make(chan struct{})
	}
	return w.room
}

func (w *writer) wakeLocked() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// waitFor waits for c, the end of ctx, or the deadline if there is one.
func waitFor(ctx context.Context, c <-chan struct{}, deadline time.Time) error {
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
