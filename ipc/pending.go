package ipc

import (
	"context"
	"sync/atomic"
	"time"
)

// A pendingCall is one call of a client on its way. The reader of the connection fills in the answer and then puts a
// token into done, once.
type pendingCall struct {
	id        uint32
	deadline  time.Time // zero for none
	watched   bool      // the connection enforces the deadline, as the caller's context has none
	arguments []byte
	end       atomic.Uint64 // position behind the frame in the connection's output
	done      chan struct{}
	stream    *inbox // nil for a unary call

	payload []byte // the answer: aliases buf or a frame of its own
	buf     []byte
	err     error
}

// notQueued is the end of a call whose frame is not queued yet: no connection has written so much.
const notQueued = 1<<64 - 1

// call is what p says on the wire.
func (p *pendingCall) call(method string) call {
	c := call{method: []byte(method)}
	if len(p.arguments) > 0 {
		c.arguments = p.arguments
	}
	if !p.deadline.IsZero() {
		left := max(time.Until(p.deadline), 0)
		c.timeout = optional{uint64((left + time.Millisecond - 1) / time.Millisecond), true}
	}
	if p.stream != nil {
		c.credit = optional{firstWindow, true}
	}
	return c
}

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
func (c *Client) takeCall() *pendingCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.free) - 1
	if last < 0 {
		return &pendingCall{done: make(chan struct{}, 1)}
	}
	p := c.free[last]
	c.free[last] = nil
	c.free = c.free[:last]
	return p
}

// putCall gives back a call that was answered.
func (c *Client) putCall(p *pendingCall) {
	if cap(p.buf) > maxKept || cap(p.arguments) > maxKept {
		return
	}
	p.arguments, p.payload, p.err = p.arguments[:0], nil, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free) < defaultMaxInFlight {
		c.free = append(c.free, p)
	}
}

// answer hands the payload of an ok to the caller.
func (p *pendingCall) answer(payload []byte, owned bool) {
	if p.stream != nil && payload != nil {
		p.stream.put(payload, owned)
		return
	}
	if payload != nil && !owned {
		p.buf = append(p.buf[:0], payload...)
		payload = p.buf
	}
	p.payload = payload
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
