package ipc

import (
	"bytes"
	"context"
	"errors"
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

	// socketBuffer is what a connection that sends large frames asks the kernel to take at once: fewer changes between
	// the processes. In bytes.
	socketBuffer = 1 << 20
)

// A writer sends frames over a connection in the order in which they were queued. Whoever flushes writes everything that is
// queued in one system call, so frames coalesce exactly when there is more than one; and nobody waits for a slow peer in
// a system call, because only what the socket takes at once is written in place and a goroutine writes the rest.
type writer struct {
	conn  net.Conn
	raw   syscall.RawConn // nil if conn has none: then a goroutine writes everything
	stall time.Duration   // a peer that takes nothing for so long is given up
	lost  func()          // called once, after the first failure, without locks held
	full  func()          // called, if not nil, before a sender waits for room, without locks held

	attempt func(fd uintptr) bool // writes some of out
	patient bool                  // it waits until the socket takes any
	n       int
	failure error

	mu      sync.Mutex
	queue   []segment // queued before pending
	pending []byte    // small frames
	spare   []byte
	busy    bool   // somebody writes; attempt, patient, n, failure and out are theirs
	expect  bool   // somebody is going to flush
	wide    bool   // the socket's buffer was enlarged
	queued  uint64 // bytes since the beginning
	written uint64 // bytes that the kernel has
	err     error
	room    chan struct{} // closed when something was written or failed; nil if nobody waits

	memory sync.Mutex // held while out's pieces are read or changed; locked after mu
	out    gather
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

// An outgoing is a frame to send: frame, and if there is a body, that and tail behind it. The body is not copied. Owner is
// what they alias, and is given up. End, if not nil, learns the frame's position.
type outgoing struct {
	frame, body, tail []byte
	owner             *scratch
	end               *atomic.Uint64
}

func (m *outgoing) size() int { return len(m.frame) + len(m.body) + len(m.tail) }

// send queues m. It waits while the queue is full, until ctx or deadline (if not zero) ends. If it reports first, the
// caller must flush soon: nobody else is going to, and those who send meanwhile rely on it.
func (w *writer) send(ctx context.Context, deadline time.Time, m *outgoing) (first bool, err error) {
	for {
		first, room, err := w.tryQueue(m)
		if room == nil {
			return first, err
		}
		w.flush() // or there would never be room
		if w.full != nil {
			w.full()
		}
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
func (w *writer) tryQueue(m *outgoing) (first bool, room <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		m.owner.put()
		return false, nil, w.err
	case w.queued-w.written >= highWater:
		return false, w.roomLocked(), nil
	case m.body != nil:
		w.pending = append(w.pending, m.frame...)
		w.queueLocked(segment{w.keepable(m.body), m.owner})
		w.pending = append(w.pending, m.tail...)
	case len(m.frame) >= largeFrame:
		w.queueLocked(segment{m.frame, m.owner})
	default:
		w.pending = append(w.pending, m.frame...)
		m.owner.put()
	}
	w.queued += uint64(m.size())
	if m.end != nil {
		m.end.Store(w.queued)
	}
	first = !w.busy && !w.expect
	w.expect = true
	return first, nil, nil
}

// queueLocked queues a large piece behind what is pending.
func (w *writer) queueLocked(s segment) {
	if len(w.pending) > 0 {
		w.queue = append(w.queue, segment{b: w.pending})
		w.pending = nil
	}
	w.queue = append(w.queue, s)
	if c, ok := w.conn.(interface{ SetWriteBuffer(int) error }); ok && !w.wide {
		_ = c.SetWriteBuffer(socketBuffer) // the kernel gives as much as it allows; less is only slower
		w.wide = true
	}
}

// flush writes what is queued as far as the socket takes it at once, unless somebody else is writing already.
func (w *writer) flush() {
	more := w.claim()
	for round := 1; more; round++ {
		size := w.out.size
		n, err := w.write(false)
		if more = w.settle(n, err); more && (n < size || round == maxRounds) {
			go w.finish()
			return
		}
	}
}

// flushSoon is flush on a goroutine of its own, for producers that rather prepare the next frame.
func (w *writer) flushSoon() {
	if w.claim() {
		go w.finish()
	}
}

// finish writes what is queued, waiting for the peer.
func (w *writer) finish() {
	for more := true; more; {
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.stall)) // if it fails, so does write
		n, err := w.write(true)
		_ = w.conn.SetWriteDeadline(time.Time{}) // while still busy: a stale deadline would fail the next write
		more = w.settle(n, err)
	}
}

// claim takes what is queued for writing; false if there is nothing to do or somebody else does it.
func (w *writer) claim() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.busy && w.err == nil && w.takeLocked()
}

func (w *writer) takeLocked() bool {
	w.memory.Lock()
	defer w.memory.Unlock()
	for i, s := range w.queue {
		w.out.add(s)
		w.queue[i] = segment{}
	}
	w.queue = w.queue[:0]
	if len(w.pending) > 0 {
		w.out.add(segment{b: w.pending})
		w.out.small = w.pending
		w.pending, w.spare = w.spare[:0], nil
	}
	w.busy = w.out.size > 0
	w.expect = w.busy
	return w.busy
}

// settle accounts for n written bytes and reports whether there are more.
func (w *writer) settle(n int, err error) (more bool) {
	w.mu.Lock()
	w.written += uint64(n)
	first := err != nil && w.err == nil
	if first {
		w.failLocked(err)
	}
	w.advanceLocked(n)
	more = w.out.size > 0 || w.err == nil && w.takeLocked()
	w.busy = more
	w.wakeLocked()
	w.mu.Unlock()
	if first && w.lost != nil {
		w.lost()
	}
	return more
}

// advanceLocked drops n written bytes, and everything if the connection is lost.
func (w *writer) advanceLocked(n int) {
	w.memory.Lock()
	defer w.memory.Unlock()
	if w.err != nil {
		n = w.out.size
	}
	if small := w.out.advance(n); small != nil && cap(small) <= maxKept {
		w.spare = small[:0]
	}
}

// write writes some of what was claimed; if it is not patient, only what the socket takes at once.
func (w *writer) write(patient bool) (int, error) {
	switch {
	case w.raw != nil:
		w.patient, w.n, w.failure = patient, 0, nil
		err := w.raw.Write(w.attempt)
		return w.n, errors.Join(err, w.failure)
	case patient:
		return w.conn.Write(w.out.pieces[0])
	}
	return 0, nil
}

func (w *writer) writeNow(fd uintptr) bool {
	w.memory.Lock()
	defer w.memory.Unlock()
	for {
		n, err := w.out.write(int(fd))
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return !w.patient
		case err != nil:
			w.failure = os.NewSyscallError("write", err)
		default:
			w.n = n
		}
		return true
	}
}

// keepable returns what to queue of a body, whose owner wants it back. See disown, which needs a raw connection.
func (w *writer) keepable(body []byte) []byte {
	if w.raw == nil {
		return bytes.Clone(body)
	}
	return body
}

// disown makes the writer copy what it has not yet written of the body of the frame that ends at end: from then on the
// caller may do with it what it likes.
func (w *writer) disown(end uint64, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if end <= w.written || w.raw == nil {
		return
	}
	w.memory.Lock()
	defer w.memory.Unlock()
	for i, s := range w.queue {
		w.queue[i].b = cloneIf(s.b, body)
	}
	for i, piece := range w.out.pieces {
		w.out.pieces[i] = cloneIf(piece, body)
	}
}

func (w *writer) failLocked(err error) {
	w.err = err
	w.queue, w.pending = nil, nil
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
