package ipc

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"
)

// A group is the calls that a batch sends in one write and waits for at once. Each ends as any call does; the last one wakes
// the batch. Calls are used again and refer to arguments and answers by place, as pointers would keep the collector busy.
type group struct {
	method   []byte
	out      *scratch       // holds the arguments of all calls
	answers  []byte         // the answers of all calls but large ones
	calls    []*pendingCall // the first used ones, the others are to be used again
	used     int
	sendable int           // how many could be encoded
	size     int           // of their frames, in bytes
	deadline time.Time     // of each call
	watched  bool          // as in a pendingCall
	conn     *clientConn   // nil if nothing was sent
	end      atomic.Uint64 // position behind the last frame in the connection's output
	left     atomic.Int32  // how many that were sent have not ended
	done     chan struct{} // holds a token when none are left
}

// A span is a piece of a buffer.
type span struct{ from, to int }

// takeGroup returns an empty group.
func (c *Client) takeGroup(method string) *group {
	g, ok := c.groups.Get().(*group)
	if !ok {
		g = &group{done: make(chan struct{}, 1)}
	}
	g.out = takeScratch()
	g.method = append(g.method[:0], method...)
	return g
}

// putGroup gives back a group whose calls have all ended.
func (c *Client) putGroup(g *group) {
	g.out.put()
	if cap(g.answers) > maxKept {
		g.answers = nil
	}
	g.answers, g.used, g.sendable, g.out, g.conn = g.answers[:0], 0, 0, nil, nil
	c.groups.Put(g)
}

// next returns a new call of the group.
func (g *group) next() *pendingCall {
	if g.used == len(g.calls) {
		g.calls = append(g.calls, &pendingCall{group: g})
	}
	p := g.calls[g.used]
	g.used++
	if p.err != nil || p.answer.b != nil {
		p.err, p.answer = nil, item{}
	}
	p.result = span{}
	return p
}

// addCall adds a call with the given arguments. One that cannot be encoded has failed already.
func addCall[A any](g *group, args A) {
	p, start := g.next(), len(g.out.b)
	err := putArguments(g.out, args)
	g.out.own()
	p.arguments = span{start, len(g.out.b)}
	if err == nil {
		err = checkCall(g.method, p.arguments.to-start)
	}
	if p.encoded = err == nil; p.encoded {
		g.sendable++
		return
	}
	p.err = err
	g.out.b = g.out.b[:start]
}

// encoded yields the calls that could be encoded.
func (g *group) encoded(yield func(*pendingCall) bool) {
	for _, p := range g.calls[:g.used] {
		if p.encoded && !yield(p) {
			return
		}
	}
}

func (g *group) isFull() bool { return g.used == groupCalls || g.out.size() >= groupBytes }

// arguments returns those of a call that could be encoded; nil for none.
func (g *group) arguments(p *pendingCall) []byte {
	if p.arguments.from == p.arguments.to {
		return nil
	}
	return g.out.b[p.arguments.from:p.arguments.to]
}

// keep keeps a call's answer.
func (g *group) keep(p *pendingCall, answer []byte) {
	start := len(g.answers)
	g.answers = append(g.answers, answer...)
	p.result = span{start, len(g.answers)}
}

// answer returns what p was answered.
func (g *group) answer(p *pendingCall) item {
	if p.result.to == 0 {
		return p.answer
	}
	return item{b: g.answers[p.result.from:p.result.to]}
}

// prepare makes g ready to be sent.
func (g *group) prepare(ctx context.Context) {
	g.deadline, g.watched = callDeadline(ctx)
	g.left.Store(int32(g.sendable))
}

// frames encodes the calls for the wire. They have their ids. As all of them are alike, each frame is put together from pieces:
//
//	length, headers up to the id | id | token, key and head of the payload | map and method | arguments | timeout
func (g *group) frames(ua, token []byte) outgoing {
	front, _ := openFrame(make([]byte, 0, headroom))
	front = append(front, majorMap<<5|2, 0, majorMap<<5|byte(2+present(token)), 0)
	front = append(appendString(front, majorText, ua), 1, majorBytes<<5|4)
	middle := append(appendOptional(nil, 2, majorBytes, token), 1)
	opening, timeout := g.opening()

	out := takeScratch()
	frames := out.b[:0]
	for p := range g.encoded {
		start, arguments := len(frames), g.out.b[p.arguments.from:p.arguments.to]
		frames = binary.BigEndian.AppendUint32(append(frames, front...), p.id)
		frames = appendHead(append(frames, middle...), majorBytes, uint64(len(opening)+len(arguments)+len(timeout)))
		frames = append(append(append(frames, opening...), arguments...), timeout...)
		frames = closeFrame(frames, start)
		p.ahead = len(frames)
	}
	out.b, g.size = frames, len(frames)
	return outgoing{frame: frames, owner: out, end: &g.end}
}

// opening returns what stands before and behind the arguments of each call: either all have some, or none.
func (g *group) opening() (opening, timeout []byte) {
	given := byte(min(1, g.out.size()))
	opening = appendOptional([]byte{majorMap<<5 | (2 + given)}, 0, majorText, g.method)
	if given == 1 {
		opening = append(opening, 1)
	}
	return opening, timeLeft(g.deadline, time.Now()).appendTo(nil, 2)
}

// fail ends the calls of a group that was not sent.
func (g *group) fail(err error) {
	for p := range g.encoded {
		p.err = err
	}
	g.left.Store(0)
}

// ended counts a call that has its outcome.
func (g *group) ended() {
	if g.left.Add(-1) == 0 {
		g.done <- struct{}{}
	}
}

// sendGroup registers the calls of g and sends them.
func (k *clientConn) sendGroup(ctx context.Context, g *group) error {
	if err := k.enterGroup(ctx, g); err != nil {
		return err
	}
	m := g.frames(k.client.ua, k.client.Token)
	k.traceGroup(m.frame)
	first, err := k.out.send(ctx, g.deadline, &m)
	if err != nil {
		for p := range g.encoded {
			k.withdraw(p, err)
		}
	}
	if first {
		k.out.flush()
	}
	return nil
}

func (k *clientConn) enterGroup(ctx context.Context, g *group) error {
	n := int64(g.sendable)
	if err := k.takeSlots(ctx, g.deadline, n); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone != nil {
		k.slots.Release(n)
		return k.gone
	}
	g.conn = k
	g.end.Store(notQueued)
	for p := range g.encoded {
		k.calls.add(p)
	}
	if g.watched {
		k.watchLocked(g.deadline)
	}
	return nil
}

func (k *clientConn) traceGroup(frames []byte) {
	for k.client.Trace != nil && len(frames) > 0 {
		end := frameHead + binary.BigEndian.Uint32(frames)
		k.client.Trace(true, frames[frameHead:end])
		frames = frames[end:]
	}
}

// await waits until all calls of g have ended, for the answers or because ctx ended. Own counts the calls of the batch
// that have not.
func (g *group) await(ctx context.Context, own func() int) {
	if k := g.conn; len(g.done) == 0 && k.tryTurn(own()) {
		k.passTurn(k.lead(ctx, g.done), own())
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		g.abandon(ctx.Err())
		<-g.done
	}
}

// abandon ends the calls that have no answer yet.
func (g *group) abandon(reason error) {
	for p := range g.encoded {
		if g.conn.abandon(p) {
			g.conn.cancel(p.id)
			p.finish(reason)
		}
	}
}
