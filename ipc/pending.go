package ipc

import (
	"context"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"
)

// A pendingCall is one call of a client on its way. The reader of the connection fills in the answer and then puts a
// token into done, once.
type pendingCall struct {
	id       uint32
	deadline time.Time // zero for none
	watched  bool      // the connection enforces the deadline, as the caller's context has none
	method   []byte
	out      *scratch // holds the arguments, of size bytes
	size     int
	rq       [4]byte
	end      atomic.Uint64 // position behind the frame in the connection's output
	done     chan struct{}
	stream   *inbox // nil for a unary call
	leads    bool   // the caller reads its own answer; before the call is sent, that it would

	group             *group // nil for a call of its own; the group then has what belongs to all its calls
	encoded           bool   // it can be sent
	arguments, result span   // in the group's buffers
	ahead             int    // where its frame ends in the group's frames

	answer item // not owned: it is in buf
	buf    []byte
	err    error
}

// notQueued is the end of a call whose frame is not queued yet: no connection has written so much.
const notQueued = 1<<64 - 1

// frame encodes p for the wire. A call that is sent again is encoded again, as less time is left.
func (p *pendingCall) frame(ua, token []byte, now time.Time) outgoing {
	c := call{method: p.method}
	c.timeout = timeLeft(p.deadline, now)
	if p.stream != nil {
		c.credit = optional{firstWindow, true}
	}
	binary.BigEndian.PutUint32(p.rq[:], p.id)
	p.out.b = p.out.b[:headroom+p.size-len(p.out.body)]
	if len(token) > 0 {
		return p.frameWith(ua, token, &c)
	}
	m := p.out.sealCall(ua, p.rq[:], &c)
	m.owner, m.end = nil, &p.end
	return m
}

// frameWith is frame with a token, for which the scratch has no room. It is a copy.
func (p *pendingCall) frameWith(ua, token []byte, c *call) outgoing {
	if p.size > 0 {
		c.arguments = slices.Concat(p.out.payload(), p.out.body)
	}
	r := request{ua: ua, rq: p.rq[:], token: token, payload: c.appendTo(nil)}
	return outgoing{frame: r.appendTo(nil), end: &p.end}
}

// timeLeft is a call's timeout: at least a millisecond, none without a deadline.
func timeLeft(deadline, now time.Time) optional {
	if deadline.IsZero() {
		return optional{}
	}
	left := max(deadline.Sub(now), 1)
	return optional{uint64((left + time.Millisecond - 1) / time.Millisecond), true}
}

// prepare makes p ready to be sent.
func (p *pendingCall) prepare(ctx context.Context) error {
	p.size = p.out.size()
	p.deadline, p.watched = callDeadline(ctx)
	if err := checkCall(p.method, p.size); err != nil {
		return err
	}
	return ctx.Err()
}

// callDeadline returns ctx's deadline, or that of a unary call without one, which the connection has to watch.
func callDeadline(ctx context.Context) (deadline time.Time, watched bool) {
	if deadline, ok := ctx.Deadline(); ok {
		return deadline, false
	}
	return time.Now().Add(callTimeout), true
}

// checkCall refuses what the daemon would refuse.
func checkCall(method []byte, size int) error {
	switch {
	case len(method) == 0 || len(method) > maxMethod:
		return Errorf(UnknownMethod, "no method has a name like %.80q", method)
	case size > defaultMaxFrame-envelopeRoom:
		return Errorf(TooLarge, "the arguments of %d bytes exceed the limit of %d", size, defaultMaxFrame-envelopeRoom)
	}
	return nil
}

// limit returns the deadline, and whether the connection enforces it.
func (p *pendingCall) limit() (deadline time.Time, watched bool) {
	if p.group != nil {
		return p.group.deadline, p.group.watched
	}
	return p.deadline, p.watched
}

// position is where p's frame ends in the connection's output.
func (p *pendingCall) position() uint64 {
	if p.group == nil {
		return p.end.Load()
	}
	if end := p.group.end.Load(); end != notQueued {
		return end - uint64(p.group.size-p.ahead)
	}
	return notQueued
}

// detach makes p independent of a connection that may still be writing its frame.
func (p *pendingCall) detach() {
	if !p.isLarge() {
		return // small frames were copied
	}
	fresh := takeScratch()
	fresh.b = append(fresh.b, p.out.payload()[:p.size]...)
	p.out = fresh
}

// isLarge reports whether the connection may refer to out until the frame is written. A body is disowned.
func (p *pendingCall) isLarge() bool { return p.size-len(p.out.body) >= largeFrame/2 }

// wait returns the outcome of a call that has ended or is just about to.
func (p *pendingCall) wait() error {
	if p.stream != nil {
		_, _, err := p.stream.take(context.Background())
		return err
	}
	<-p.done
	return p.err
}

// takeCall returns a fresh pendingCall. They belong to one client, so that their channels live and die with it.
func (c *Client) takeCall(method string) *pendingCall {
	p, ok := c.free.Get().(*pendingCall)
	if !ok {
		p = &pendingCall{done: make(chan struct{}, 1)}
	}
	p.out = takeScratch()
	p.method = append(p.method[:0], method...)
	return p
}

// putCall gives back a call that was answered. A large frame whose answer came before all of it was written stays with
// the connection.
func (c *Client) putCall(p *pendingCall) {
	if !p.isLarge() {
		p.out.put()
	}
	if cap(p.buf) > maxKept {
		p.buf = nil
	}
	p.out, p.answer, p.err, p.leads = nil, item{}, nil, false
	c.free.Put(p)
}

// ok hands the payload of an ok to the caller.
func (p *pendingCall) ok(payload item) {
	switch {
	case p.stream != nil && payload.b != nil:
		p.stream.put(payload)
		return
	case payload.b == nil || payload.owned:
	case p.group != nil:
		p.group.keep(p, payload.b)
		payload = item{}
	default:
		p.buf = append(p.buf[:0], payload.b...)
		payload.b = p.buf
	}
	p.answer = payload
	p.finish(nil)
}

// finish ends the call with err.
func (p *pendingCall) finish(err error) {
	if p.stream != nil {
		p.stream.close(err)
		return
	}
	p.err = err
	if p.group != nil {
		p.group.ended()
		return
	}
	p.done <- struct{}{}
}
