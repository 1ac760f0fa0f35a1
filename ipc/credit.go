package ipc

import (
	"context"
	"sync"
	"time"
)

// credit is how many items a stream may still send before its client grants more.
type credit struct {
	mu        sync.Mutex
	unlimited bool
	n         uint64
	more      chan struct{} // holds one token when n was raised
}

func (c *credit) init(n optional) {
	c.unlimited, c.n = !n.ok, n.n
	c.more = make(chan struct{}, 1)
}

// grant adds n, up to the largest number there is.
func (c *credit) grant(n uint64) {
	c.mu.Lock()
	c.n += n
	if c.n < n {
		c.n = 1<<64 - 1
	}
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// take uses up one item's worth, waiting for the client if need be.
func (c *credit) take(ctx context.Context) error {
	for !c.tryTake() {
		select {
		case <-c.more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c *credit) tryTake() bool {
	if c.unlimited {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == 0 {
		return false
	}
	c.n--
	return true
}

// send sends one item of t's stream. It waits for credit, and for the socket of a peer that reads slowly.
func (t *task) send(out *scratch) error {
	k := t.conn
	err := k.fits(out)
	if err == nil {
		err = t.credit.take(t.ctx)
	}
	if err != nil {
		out.put()
		return err
	}
	m := out.sealOK(t.id.bytes())
	first, err := k.out.send(t.ctx, time.Time{}, &m)
	if first {
		k.out.flushSoon()
	}
	return err
}
