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
	batched  bool     // part of a batch
	out      *scratch // holds the arguments, of size bytes
	size     int
	rq       [4]byte
	end      atomic.Uint64 // position behind the frame in the connection's output
	done     chan struct{}
	stream   *inbox // nil for a unary call
	leads    bool   // the caller reads its own answer; before the call is sent, that it would

	answer item // not owned: it is in buf
	buf    []byte
	err    error
}

// notQueued is the end of a call whose frame is not queued yet: no connection has written so much.
const notQueued = 1<<64 - 1

// frame encodes p for the wire. A call that is sent again is encoded again, as less time is left.
func (p *pendingCall) frame(ua, token []byte, now time.Time) outgoing {
	c := call{method: p.method}
	if !p.deadline.IsZero() {
		left := max(p.deadline.Sub(now), 1)
		c.timeout = optional{uint64((left + time.Millisecond - 1) / time.Millisecond), true}
	}
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

// prepare makes p ready to be sent, with ctx's deadline or else that of a call.
func (p *pendingCall) prepare(ctx context.Context, now time.Time) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = now.Add(callTimeout)
	}
	p.size, p.deadline, p.watched = p.out.size(), deadline, !ok
	if err := p.check(); err != nil {
		return err
	}
	return ctx.Err()
}

// check refuses what the daemon would refuse.
func (p *pendingCall) check() error {
	switch {
	case len(p.method) == 0 || len(p.method) > maxMethod:
		return Errorf(UnknownMethod, "no method has a name like %.80q", p.method)
	case p.size > defaultMaxFrame-envelopeRoom:
		return Errorf(TooLarge, "the arguments of %d bytes exceed the limit of %d", p.size, defaultMaxFrame-envelopeRoom)
	}
	return nil
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
	p.out, p.answer, p.err, p.leads, p.batched = nil, item{}, nil, false, false
	c.free.Put(p)
}

// ok hands the payload of an ok to the caller.
func (p *pendingCall) ok(payload item) {
	switch {
	case p.stream != nil && payload.b != nil:
		p.stream.put(payload)
		return
	case payload.b != nil && !payload.owned:
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
	p.done <- struct{}{}
}
