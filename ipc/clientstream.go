package ipc

import (
	"context"
	"errors"
	"iter"
	"slices"
)

// Call starts the stream and yields its items as they come; an error ends it. The daemon is told to stop when the loop is left
// or ctx ends. There is no deadline unless ctx has one. A consumer may take its time: the daemon sends only a little
// ahead, and other calls of the same client go on.
func (m Stream[A, R]) Call(ctx context.Context, c *Client, args A) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var none R
		out := takeScratch()
		if err := putArguments(out, args); err != nil {
			yield(none, err)
			return
		}
		arguments := slices.Concat(out.payload(), out.body)
		out.put()
		for payload, err := range c.StreamRaw(ctx, m.Name, arguments) {
			if err != nil {
				yield(none, err)
				return
			}
			value, err := decodeResult[R](m.Name, item{b: payload, owned: true})
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}

// StreamRaw calls a streaming method by name. Arguments are one CBOR item, or nil for none; so are the items, which
// the caller may keep.
func (c *Client) StreamRaw(ctx context.Context, method string, arguments []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		err := checkCall([]byte(method), len(arguments))
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = c.repeat(ctx, deadlineOf(ctx), func(k *clientConn) error {
				return k.stream(ctx, method, c.newStream(ctx, method, arguments), yield)
			})
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, callError(err, method))
		}
	}
}

// errStopped says that the consumer left the loop and must not be called again.
var errStopped = errors.New("stopped by the consumer")

// stream starts p and yields its items.
func (k *clientConn) stream(ctx context.Context, method string, p *pendingCall, yield func([]byte, error) bool) error {
	if err := k.send(ctx, p); err != nil {
		return err
	}
	defer k.leave(p)
	return k.consume(ctx, method, p, yield)
}

func (c *Client) newStream(ctx context.Context, method string, arguments []byte) *pendingCall {
	p := &pendingCall{method: []byte(method), out: takeScratch(), size: len(arguments), stream: newInbox(), deadline: deadlineOf(ctx)}
	p.out.b = append(p.out.b, arguments...)
	return p
}

// consume yields items until the stream ends.
func (k *clientConn) consume(ctx context.Context, method string, p *pendingCall, yield func([]byte, error) bool) error {
	for started := false; ; started = true {
		item, ok, err := p.stream.take(ctx)
		switch {
		case err != nil && started && errors.Is(err, errNotExecuted):
			return Errorf(Unavailable, "%s broke off: the daemon went away", method)
		case !ok:
			return callError(err, method)
		case !yield(item, nil):
			return errStopped
		}
		if n := p.stream.refill(); n > 0 {
			k.grant(p.id, n)
		}
	}
}

func (k *clientConn) grant(id uint32, n uint64) {
	c := call{credit: optional{n, true}}
	k.sendUrgent(id, c.appendTo(nil))
}

// leave cancels the stream if it has not ended.
func (k *clientConn) leave(p *pendingCall) {
	if k.abandon(p) {
		k.cancel(p.id)
	}
}
