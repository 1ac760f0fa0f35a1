package ipc

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

// A clientConn is the client's side of one connection. Callers write their own frames; one goroutine reads the answers.
type clientConn struct {
	client *Client
	net    net.Conn
	in     frameReader
	out    *writer

	mu      sync.Mutex
	calls   map[uint32]flight // without final answer
	last    uint32
	room    chan struct{} // closed when a call ends; nil if nobody waits
	leaving int           // how often the daemon announced that it goes away
	gone    error         // why no call can be started any more
	timer   *time.Timer   // runs expire
	alarm   time.Time     // when timer fires; zero if it does not
}

// A flight is a call without final answer. Nobody waits for it any more if call is nil.
type flight struct {
	call   *pendingCall
	stream bool
}

func newClientConn(c *Client, nc net.Conn) *clientConn {
	conn := &clientConn{
		client: c, net: nc, calls: map[uint32]flight{},
		in: frameReader{src: nc, limit: defaultMaxFrame, abort: defaultMaxSkip},
	}
	conn.out = newWriter(nc, defaultStall, conn.writeFailed)
	if c.Trace != nil {
		conn.in.trace = func(frame []byte) { c.Trace(false, frame) }
	}
	return conn
}

// roundTrip sends p and waits for its answer, until ctx or p.deadline ends.
func (k *clientConn) roundTrip(ctx context.Context, method string, p *pendingCall) error {
	if err := k.send(ctx, method, p); err != nil {
		return callError(err, method)
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
func (k *clientConn) cancel(id uint32) { k.sendUrgent(&request{ua: k.client.ua, rq: idBytes(id)}) }

// send registers p and writes its frame.
func (k *clientConn) send(ctx context.Context, method string, p *pendingCall) error {
	c := p.call(method)
	switch {
	case c.timeout.ok && c.timeout.n == 0:
		return context.DeadlineExceeded
	case c.size() > defaultMaxFrame-envelopeRoom:
		return Errorf(TooLarge, "the arguments of %d bytes exceed the limit of %d", len(c.arguments), defaultMaxFrame-envelopeRoom)
	}
	others, err := k.register(ctx, p)
	if err != nil {
		return err
	}
	return k.write(ctx, p, &c, others)
}

// write queues the frame of a registered call and flushes. When others are in flight, their callers are probably about to
// write as well: letting them run first makes one system call of many.
func (k *clientConn) write(ctx context.Context, p *pendingCall, c *call, others bool) error {
	b, err := k.out.begin(ctx, p.deadline)
	if err != nil {
		return k.unregister(p, err)
	}
	start := len(b)
	b = k.appendCall(b, p.id, c)
	k.trace(b[start:])
	p.end.Store(k.out.end(b))
	k.out.commit(b)
	if others {
		runtime.Gosched()
	}
	k.out.flush()
	return nil
}

// appendCall appends the frame of a request, its payload in place.
func (k *clientConn) appendCall(b []byte, id uint32, c *call) []byte {
	payload := takeScratch()
	defer payload.put()
	payload.b = c.appendTo(payload.b)
	r := request{ua: k.client.ua, rq: idBytes(id), payload: payload.b}
	return r.appendTo(b)
}

func idBytes(id uint32) []byte { return binary.BigEndian.AppendUint32(nil, id) }

func (k *clientConn) trace(frame []byte) {
	if k.client.Trace != nil {
		k.client.Trace(true, frame[frameHead:])
	}
}

// sendUrgent sends a small frame that must not wait: a cancel or a grant. If the connection is lost, so is its point.
func (k *clientConn) sendUrgent(r *request) {
	b, err := k.out.beginUrgent()
	if err != nil {
		return
	}
	start := len(b)
	b = r.appendTo(b)
	k.trace(b[start:])
	k.out.commit(b)
	k.out.flush()
}

// register gives p an id, waiting while the connection has as many calls in flight as the daemon allows. It reports
// whether there are others.
func (k *clientConn) register(ctx context.Context, p *pendingCall) (others bool, err error) {
	for {
		k.mu.Lock()
		if k.gone != nil {
			defer k.mu.Unlock()
			return false, k.gone
		}
		if len(k.calls) < defaultMaxInFlight {
			defer k.mu.Unlock()
			k.enterLocked(p)
			return len(k.calls) > 1, nil
		}
		if k.room == nil {
			k.room = make(chan struct{})
		}
		room := k.room
		k.mu.Unlock()
		if err := waitFor(ctx, room, p.deadline); err != nil {
			return false, err
		}
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
	if k.room != nil {
		close(k.room)
		k.room = nil
	}
}
