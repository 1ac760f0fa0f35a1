package ipc

import (
	"context"
	"errors"
	"iter"
)

// A batch sends and collects its calls in groups of up to groupCalls, which are closed early when their arguments reach
// groupBytes. It has batchGroups of them in flight, so that client and daemon always have one to work on: three quarters of the
// calls that a connection allows, so that others find room.
const (
	groupCalls  = 128
	groupBytes  = 64 << 10
	batchGroups = 6
)

// Batch calls the method once for each of args and yields the results in their order, each with its own error. It sends
// many calls in one write and wakes once for many answers, so that a call costs a small part of what it costs with Call;
// otherwise each is like one with Call, with a deadline of its own and sent again on its own if it provably was not
// executed. Arguments are taken, and results come, in groups of 128, or fewer if their arguments reach 64 KiB: a call that
// takes long holds up the results of its group. The calls in flight are cancelled when the loop is left.
func (m Unary[A, R]) Batch(ctx context.Context, c *Client, args iter.Seq[A]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		b := &batch[R]{ctx: ctx, client: c, method: m.Name, yield: yield}
		defer b.abandon()
		g := c.takeGroup(m.Name)
		for a := range args {
			if addCall(g, a); !g.isFull() {
				continue
			}
			if b.send(g); !b.collect(batchGroups - 1) {
				return
			}
			g = c.takeGroup(m.Name)
		}
		b.send(g)
		b.collect(0)
	}
}

// A batch is a run of Unary.Batch.
type batch[R any] struct {
	ctx     context.Context
	client  *Client
	method  string
	yield   func(R, error) bool
	sent    []*group // oldest first
	results chunk    // byte strings
}

// send sends g. A group that cannot be sent has failed.
func (b *batch[R]) send(g *group) {
	b.sent = append(b.sent, g)
	g.prepare(b.ctx)
	err := b.ctx.Err()
	if err == nil && g.sendable > 0 {
		err = b.client.repeat(b.ctx, g.deadline, func(k *clientConn) error { return k.sendGroup(b.ctx, g) })
	}
	if err != nil {
		g.fail(err)
	}
}

// collect yields the results of groups until at most rest of them are in flight. It reports whether to go on.
func (b *batch[R]) collect(rest int) bool {
	for len(b.sent) > rest {
		g := b.sent[0]
		if g.conn != nil {
			g.await(b.ctx, b.inFlight)
		}
		b.sent = b.sent[1:]
		for _, p := range g.calls[:g.used] {
			if !b.yield(b.result(g, p)) {
				return false
			}
		}
		b.client.putGroup(g)
	}
	return true
}

// inFlight counts the calls that have not ended.
func (b *batch[R]) inFlight() (n int) {
	for _, g := range b.sent {
		n += int(g.left.Load())
	}
	return n
}

func (b *batch[R]) result(g *group, p *pendingCall) (result R, err error) {
	switch {
	case errors.Is(p.err, errNotExecuted):
		return b.again(g, p)
	case p.err != nil:
		return result, callError(p.err, b.method)
	}
	answer := g.answer(p)
	if _, kept := any(result).([]byte); kept && !answer.owned {
		answer = item{b: b.results.keep(answer.b), owned: true}
	}
	return takeAnswer[R](b.method, answer)
}

// again makes a call that was not executed on its own.
func (b *batch[R]) again(g *group, p *pendingCall) (result R, err error) {
	alone := b.client.takeCall(b.method)
	alone.out.b = append(alone.out.b, g.arguments(p)...)
	alone.size, alone.deadline, alone.watched = alone.out.size(), g.deadline, g.watched
	if err := b.client.persist(b.ctx, b.method, alone); err != nil {
		return result, err
	}
	return takeResult[R](b.client, b.method, alone)
}

// abandon gives up the calls that nobody is going to wait for.
func (b *batch[R]) abandon() {
	for _, g := range b.sent {
		if g.conn != nil {
			g.abandon(errStopped)
		}
	}
}
