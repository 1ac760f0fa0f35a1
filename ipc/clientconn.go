package ipc

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// A clientConn is the client's side of one connection. Callers write their own frames; turn.go says who reads the answers.
type clientConn struct {
	client *Client
	net    net.Conn
	in     frameReader
	out    *writer
	slots  *semaphore.Weighted // as many as the daemon allows calls in flight; each entry of calls has one
	turn   chan struct{}       // holds a token when the connection's goroutine is to take the turn

	mu      sync.Mutex
	calls   flights
	leaving int         // how often the daemon announced that it goes away
	gone    error       // why no call can be started any more
	timer   *time.Timer // runs expire
	alarm   time.Time   // when timer fires; zero if it does not
	reading bool        // somebody has the turn; in is theirs
	wanted  bool        // the connection's goroutine gets the turn next
	failure error       // why the last reader gave up
}

func newClientConn(c *Client, nc net.Conn) *clientConn {
	conn := &clientConn{
		client: c, net: nc, slots: semaphore.NewWeighted(defaultMaxInFlight),
		turn: make(chan struct{}, 1),
		in:   frameReader{src: nc, limit: defaultMaxFrame, abort: defaultMaxSkip},
	}
	conn.out = newWriter(nc, defaultStall, conn.writeFailed)
	conn.out.full = conn.needReader // a daemon whose answers nobody reads takes no more calls
	if c.Trace != nil {
		conn.in.trace = func(frame []byte) { c.Trace(false, frame) }
	}
	return conn
}

// roundTrip sends p and waits for its answer, until ctx or p.deadline ends. Then the caller has its memory back.
func (k *clientConn) roundTrip(ctx context.Context, method string, p *pendingCall) error {
	if p.out.body != nil {
		defer func() { k.out.disown(p.end.Load(), p.out.body) }()
	}
	p.leads = true
	if err := k.send(ctx, p); err != nil {
		return callError(err, method)
	}
	if p.leads {
		k.passTurn(k.lead(ctx, p.done), 0)
	}
	return k.await(ctx, method, p)
}

// await waits for the answer to p, or for the end of ctx.
func (k *clientConn) await(ctx context.Context, method string, p *pendingCall) error {
	if len(p.done) > 0 || ctx.Done() == nil {
		return p.wait() // cheaper than a select
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return k.giveUp(p, callError(ctx.Err(), method))
	}
}

// giveUp stops waiting for p. An answer that came first wins.
func (k *clientConn) giveUp(p *pendingCall, reason error) error {
	if !k.abandon(p) {
		return p.wait()
	}
	k.cancel(p.id)
	return reason
}

// abandon makes the answer to p be dropped when it comes. It reports false if there is one already.
func (k *clientConn) abandon(p *pendingCall) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	waiting := k.calls.waiting(p)
	if waiting {
		k.calls.find(p.id).call = nil
	}
	return waiting
}

// cancel tells the daemon to stop working on a call.
func (k *clientConn) cancel(id uint32) { k.sendUrgent(id, nil) }

// send registers p, queues its frame and flushes. When others are in flight, their callers are probably about to send as
// well: letting them run first makes one system call of many.
func (k *clientConn) send(ctx context.Context, p *pendingCall) error {
	first, err := k.queue(ctx, p)
	if first && !p.leads {
		runtime.Gosched()
	}
	if first {
		k.out.flush()
	}
	return err
}

// queue registers p and queues its frame. If it reports first, the caller must flush soon.
func (k *clientConn) queue(ctx context.Context, p *pendingCall) (first bool, err error) {
	if err := k.register(ctx, p); err != nil {
		return false, err
	}
	m := p.frame(k.client.ua, k.client.Token, time.Now())
	k.trace(m)
	if first, err = k.out.send(ctx, p.deadline, &m); err != nil {
		k.withdraw(p, err)
		if p.leads {
			k.passTurn(nil, 0)
		}
		return false, p.wait()
	}
	return first, nil
}

// sendUrgent sends a cancel or a grant.
func (k *clientConn) sendUrgent(id uint32, payload []byte) {
	r := request{ua: k.client.ua, rq: binary.BigEndian.AppendUint32(nil, id), payload: payload}
	frame := r.appendTo(nil)
	k.trace(outgoing{frame: frame})
	k.out.sendUrgent(frame)
}

func (k *clientConn) trace(m outgoing) {
	if k.client.Trace != nil {
		k.client.Trace(true, slices.Concat(m.frame[frameHead:], m.body, m.tail))
	}
}

// register gives p an id, waiting while the connection has as many calls in flight as the daemon allows.
func (k *clientConn) register(ctx context.Context, p *pendingCall) error {
	if err := k.takeSlots(ctx, p.deadline, 1); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone != nil {
		k.slots.Release(1)
		return k.gone
	}
	k.calls.add(p)
	p.end.Store(notQueued)
	k.assignTurnLocked(p)
	if p.watched {
		k.watchLocked(p.deadline)
	}
	return nil
}

// takeSlots waits its turn: those who wait get their slots in the order in which they came.
func (k *clientConn) takeSlots(ctx context.Context, deadline time.Time, n int64) error {
	if k.slots.TryAcquire(n) {
		return nil
	}
	k.out.flush()  // the slots may be taken by calls of ours that are not sent yet,
	k.needReader() // or whose answers nobody reads
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	return k.slots.Acquire(ctx, n)
}

// withdraw takes back a call whose frame could not be queued. If the connection is lost, it has ended already.
func (k *clientConn) withdraw(p *pendingCall, err error) {
	k.mu.Lock()
	mine := k.calls.waiting(p)
	if mine {
		k.removeLocked(p.id)
	}
	k.mu.Unlock()
	switch {
	case !mine:
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		p.finish(err)
	default:
		p.finish(errNotExecuted)
	}
}

func (k *clientConn) removeLocked(id uint32) {
	k.calls.remove(id)
	k.slots.Release(1)
}
