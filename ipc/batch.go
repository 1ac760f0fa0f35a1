package ipc

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// A batch has at most batchWindow calls in flight, half of what a connection allows, so that others find room; it sends
// and collects them in groups.
const (
	batchWindow = 512
	batchGroup  = 256
)

// Batch calls the method once for each of args and yields the results in their order, each with its own error. It sends
// many calls in one write and wakes once for many answers, so that a call costs a small part of what it costs with Call;
// otherwise each is like one with Call, with a deadline of its own and sent again on its own if it provably was not
// executed. Arguments are taken, and results come, in groups of 256: a call that takes long holds up the results of its group.
// The calls in flight are cancelled when the loop is left.
func (m Unary[A, R]) Batch(ctx context.Context, c *Client, args iter.Seq[A]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		b := &batch[R]{ctx: ctx, client: c, method: m.Name, yield: yield}
		defer b.abandon()
		for a := range args {
			p := c.takeCall(m.Name)
			err := putArguments(p.out, a)
			if b.add(p, err); len(b.group) == batchGroup && !b.turnOver(batchWindow-batchGroup) {
				return
			}
		}
		b.turnOver(0)
	}
}

// A batch is a run of Unary.Batch.
type batch[R any] struct {
	ctx    context.Context
	client *Client
	method string
	yield  func(R, error) bool
	group  []batchCall // not sent yet
	sent   []batchCall // the end of window
	window []batchCall
}

// A batchCall is a call and, once it is sent, its connection. Err says why it is not.
type batchCall struct {
	*pendingCall
	conn *clientConn
	err  error
}

func (b *batch[R]) add(p *pendingCall, err error) {
	p.out.own()
	p.batched = true
	b.group = append(b.group, batchCall{p, nil, err})
}

// turnOver sends the group and collects answers until at most rest calls are in flight. It reports whether to go on.
func (b *batch[R]) turnOver(rest int) bool {
	b.send()
	for len(b.sent) > rest {
		if !b.collect(b.sent[:min(batchGroup, len(b.sent))]) {
			return false
		}
	}
	return true
}

// send sends the group with one flush for each connection that it goes over.
func (b *batch[R]) send() {
	var last *clientConn
	now := time.Now()
	for i := range b.group {
		x := &b.group[i]
		if x.err == nil {
			x.err = x.prepare(b.ctx, now)
		}
		if x.err == nil {
			x.conn, x.err = b.client.connect(b.ctx, x.deadline)
		}
		if x.err != nil {
			continue
		}
		if last != nil && last != x.conn {
			last.out.flush()
		}
		last = x.conn
		_, x.err = last.queue(b.ctx, x.pendingCall, now)
	}
	if last != nil {
		last.out.flush()
	}
	b.window = append(append(b.window[:0], b.sent...), b.group...)
	b.sent, b.group = b.window, b.group[:0]
}

// collect waits for the answers to calls, the oldest ones, and yields them. It waits for the last call first: with its answer
// the others have come as well, as a rule, and there is one wake-up for all.
func (b *batch[R]) collect(calls []batchCall) bool {
	for i := range slices.Backward(calls) {
		x := &calls[i]
		if x.err != nil {
			continue
		}
		if len(x.done) == 0 && x.conn.tryTurn(len(b.sent)) {
			x.conn.lead(b.ctx, x.pendingCall, len(b.sent))
		}
		x.err = x.conn.await(b.ctx, b.method, x.pendingCall)
	}
	for _, x := range calls {
		b.sent = b.sent[1:]
		if !b.yield(b.result(x)) {
			return false
		}
	}
	return true
}

func (b *batch[R]) result(x batchCall) (result R, err error) {
	if errors.Is(x.err, errNotExecuted) {
		x.detach()
		x.err = b.client.persist(b.ctx, b.method, x.pendingCall)
	}
	if x.err != nil {
		return result, callError(x.err, b.method)
	}
	return takeResult[R](b.client, b.method, x.pendingCall)
}

// abandon gives up the calls that nobody is going to wait for.
func (b *batch[R]) abandon() {
	for _, x := range b.sent {
		if x.err == nil && x.conn.abandon(x.pendingCall) {
			x.conn.cancel(x.id)
		}
	}
}
