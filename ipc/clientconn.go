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
)

// A clientConn is the client's side of one connection. Callers write their own frames; turn.go says who reads the answers.
type clientConn struct {
	client *Client
	net    net.Conn
	in     frameReader
	out    *writer
	slots  chan struct{} // holds a token for each entry of calls
	turn   chan struct{} // holds a token when the connection's goroutine is to take the turn

	mu      sync.Mutex
	calls   map[uint32]flight // without final answer
	last    uint32
	leaving int         // how often the daemon announced that it goes away
	gone    error       // why no call can be started any more
	timer   *time.Timer // runs expire
	alarm   time.Time   // when timer fires; zero if it does not
	reading bool        // somebody has the turn; in is theirs
	wanted  bool        // the connection's goroutine gets the turn next
	failure error       // why the last reader gave up
}

// A flight is a call without final answer. Nobody waits for it any more if call is nil.
type flight struct {
	call   *pendingCall
	stream bool
}

func newClientConn(c *Client, nc net.Conn) *clientConn {
	conn := &clientConn{
		client: c, net: nc, slots: make(chan struct{}, defaultMaxInFlight), calls: map[uint32]flight{},
		turn: make(chan struct{}, 1),
		in:   frameReader{src: nc, limit: defaultMaxFrame, abort: defaultMaxSkip},
	}
	conn.out = newWriter(nc, defaultStall, conn.writeFailed)
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
	if err := k.send(ctx, p); err != nil {
		return callError(err, method)
	}
	k.lead(ctx, p)
	if ctx.Done() == nil {
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
	waiting := k.calls[p.id].call == p
	if waiting {
		k.calls[p.id] = flight{stream: p.stream != nil}
	}
	return waiting
}

// cancel tells the daemon to stop working on a call.
func (k *clientConn) cancel(id uint32) { k.sendUrgent(id, nil) }

// send registers p, queues its frame and flushes. When others are in flight, their callers are probably about to send as
// well: letting them run first makes one system call of many.
func (k *clientConn) send(ctx context.Context, p *pendingCall) error {
	others, err := k.register(ctx, p)
	if err != nil {
		return err
	}
	m := p.frame(k.client.ua, k.client.Token)
	k.trace(m)
	first, err := k.out.send(ctx, p.deadline, m)
	if err != nil {
		return k.unregister(p, err)
	}
	if first && others {
		runtime.Gosched()
	}
	if first {
		k.out.flush()
	}
	return nil
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

// register gives p an id, waiting while the connection has as many calls in flight as the daemon allows. It reports
// whether there are others.
func (k *clientConn) register(ctx context.Context, p *pendingCall) (others bool, err error) {
	if err := k.takeSlot(ctx, p.deadline); err != nil {
		return false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone != nil {
		<-k.slots
		return false, k.gone
	}
	k.enterLocked(p)
	return len(k.calls) > 1, nil
}

// takeSlot waits its turn: those who wait get the slots in the order in which they came.
func (k *clientConn) takeSlot(ctx context.Context, deadline time.Time) error {
	select {
	case k.slots <- struct{}{}:
		return nil
	default:
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	select {
	case k.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *clientConn) enterLocked(p *pendingCall) {
	for taken := true; taken; {
		k.last++
		if k.last == 0 {
			continue // reserved
		}
		_, taken = k.calls[k.last]
	}
	p.id = k.last
	p.end.Store(notQueued)
	k.calls[p.id] = flight{p, p.stream != nil}
	k.assignTurnLocked(p)
	if p.watched {
		k.watchLocked(p.deadline)
	}
}

// unregister takes back a call whose frame could not be queued. If the connection is lost, p has been told already.
func (k *clientConn) unregister(p *pendingCall, err error) error {
	k.mu.Lock()
	mine := k.calls[p.id].call == p
	if mine {
		k.removeLocked(p.id)
	}
	k.mu.Unlock()
	if p.leads {
		k.passTurn(nil)
	}
	if !mine {
		return p.wait()
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errNotExecuted
}

func (k *clientConn) removeLocked(id uint32) {
	delete(k.calls, id)
	<-k.slots
}
