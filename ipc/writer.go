package ipc

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	highWater  = 256 << 10 // how much a connection queues before those who send wait, in bytes
	largeFrame = 32 << 10  // from here on a frame is queued as it is instead of being copied behind others
	maxRounds  = 16        // how often one sender writes on behalf of others before a goroutine takes over
)

// A writer sends frames over a connection in the order in which they were queued. Whoever flushes writes everything that is
// queued in one system call, so frames coalesce exactly when there is more than one; and nobody waits for a slow peer in
// a system call, because only what the socket takes at once is written in place and a goroutine writes the rest.
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
	large   []segment // queued before pending
	pending []byte    // small frames
	spare   []byte
	busy    bool   // somebody writes; attempt, out, n and failure are theirs
	expect  bool   // somebody is going to flush
	queued  uint64 // bytes since the beginning
	written uint64 // bytes that the kernel has
	err     error
	room    chan struct{} // closed when something was written or failed; nil if nobody waits
}

// A segment is a piece of the queue. A large frame brings its scratch, to be put back when it is written.
type segment struct {
	b     []byte
	owner *scratch
}

func newWriter(conn net.Conn, stall time.Duration, lost func()) *writer {
	w := &writer{conn: conn, stall: stall, lost: lost}
	if c, ok := conn.(syscall.Conn); ok {
		w.raw, _ = c.SyscallConn()
	}
	w.attempt = w.writeNow
	return w
}

// An outgoing is a frame to send. Owner is what it aliases, and is given up. End, if not nil, learns the frame's position.
type outgoing struct {
	frame []byte
	owner *scratch
	end   *atomic.Uint64
}

// send queues m. It waits while the queue is full, until ctx or deadline (if not zero) ends. If it reports first, the
// caller must flush soon: nobody else is going to, and those who send meanwhile rely on it.
func (w *writer) send(ctx context.Context, deadline time.Time, m outgoing) (first bool, err error) {
	for {
		first, room, err := w.tryQueue(m)
		if room == nil {
			return first, err
		}
		w.flush() // or there would never be room
		if err := waitFor(ctx, room, deadline); err != nil {
			m.owner.put()
			return false, err
		}
	}
}

// sendUrgent queues a small frame that must not wait: a cancel, a grant, going away. On a lost connection it has no point.
func (w *writer) sendUrgent(frame []byte) {
	w.mu.Lock()
	if w.err == nil {
		w.pending = append(w.pending, frame...)
		w.queued += uint64(len(frame))
	}
	w.mu.Unlock()
	w.flush()
}

// tryQueue returns a channel to wait for if there is no room.
func (w *writer) tryQueue(m outgoing) (first bool, room <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		m.owner.put()
		return false, nil, w.err
	case w.queued-w.written >= highWater:
		return false, w.roomLocked(), nil
	case len(m.frame) >= largeFrame:
		if len(w.pending) > 0 {
			w.large = append(w.large, segment{b: w.pending})
			w.pending = nil
		}
		w.large = append(w.large, segment{m.frame, m.owner})
	default:
		w.pending = append(w.pending, m.frame...)
		m.owner.put()
	}
	w.queued += uint64(len(m.frame))
	if m.end != nil {
		m.end.Store(w.queued)
	}
	first = !w.busy && !w.expect
	w.expect = true
	return first, nil, nil
}

// flush writes what is queued as far as the socket takes it at once, unless somebody else is writing already.
func (w *writer) flush() {
	out := w.claim()
	for round := 0; out.b != nil; round++ {
		n, err := w.try(out.b)
		if err == nil && (n < len(out.b) || round == maxRounds) {
			go w.finish(out, n)
			return
		}
		out = w.settle(out, n, err)
	}
}

// flushSoon is flush on a goroutine of its own, for producers that rather prepare the next frame.
func (w *writer) flushSoon() {
	if out := w.claim(); out.b != nil {
		go w.finish(out, 0)
	}
}

// claim takes a piece of the queue for writing; an empty one if there is nothing to do or somebody else does it.
func (w *writer) claim() segment {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy || w.err != nil {
		return segment{}
	}
	return w.takeLocked()
}

func (w *writer) takeLocked() (out segment) {
	switch {
	case len(w.large) > 0:
		out = w.large[0]
		w.large[0] = segment{}
		w.large = w.large[1:]
	case len(w.pending) > 0:
		out.b = w.pending
		w.pending, w.spare = w.spare[:0], nil
	}
	w.busy = out.b != nil
	w.expect = w.busy
	return out
}

// settle accounts for n written bytes of out and returns what to write next, if anything.
func (w *writer) settle(out segment, n int, err error) (next segment) {
	w.mu.Lock()
	w.written += uint64(n)
	switch {
	case out.owner != nil:
		out.owner.put()
	case cap(out.b) <= maxKept:
		w.spare = out.b[:0]
	}
	first := err != nil && w.err == nil
	if first {
		w.failLocked(err)
	}
	w.busy = false
	if w.err == nil {
		next = w.takeLocked()
	}
	w.wakeLocked()
	w.mu.Unlock()
	if first && w.lost != nil {
		w.lost()
	}
	return next
}

// finish writes out from n on and whatever is queued meanwhile, waiting for the peer.
func (w *writer) finish(out segment, n int) {
	for out.b != nil {
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.stall)) // if it fails, so does Write
		m, err := w.conn.Write(out.b[n:])
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

func (w *writer) failLocked(err error) {
	w.err = err
	w.large, w.pending = nil, nil
	w.wakeLocked()
}

func (w *writer) wakeLocked() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// stop fails whatever is sent from now on, and waits until nobody writes any more: only then is it certain what was sent,
// as the peer may act on a frame before the call that wrote it returns. The connection must be closed already.
func (w *writer) stop() {
	w.mu.Lock()
	if w.err == nil {
		w.failLocked(net.ErrClosed)
	}
	w.mu.Unlock()
	for {
		room := w.writing()
		if room == nil {
			return
		}
		<-room
	}
}

// writing returns a channel to wait for if somebody writes.
func (w *writer) writing() (room <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.busy {
		return nil
	}
	return w.roomLocked()
}

// sent reports whether everything up to position end reached the kernel. It is certain after a failure or stop.
func (w *writer) sent(end uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return end <= w.written
}

// drain flushes and waits until at most rest bytes are unwritten or the connection is lost.
func (w *writer) drain(ctx context.Context, deadline time.Time, rest uint64) error {
	w.flush()
	for {
		room, err := w.tryDrain(rest)
		if room == nil {
			return err
		}
		if err := waitFor(ctx, room, deadline); err != nil {
			return err
		}
	}
}

// tryDrain returns a channel to wait for if more than rest bytes are queued or being written.
func (w *writer) tryDrain(rest uint64) (room <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.queued-w.written <= rest {
		return nil, w.err
	}
	return w.roomLocked(), nil
}

func (w *writer) roomLocked() <-chan struct{} {
	if w.room == nil {
		w.room = make(chan struct{})
	}
	return w.room
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
