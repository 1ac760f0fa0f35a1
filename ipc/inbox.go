package ipc

import (
	"context"
	"sync"
)

// How many items a client lets a daemon send ahead of its consumer: as many as fit windowBytes, within bounds.
const (
	firstWindow = 32 // before the size of the items is known
	minWindow   = 4
	maxWindow   = 512
	windowBytes = 1 << 20
	chunkSize   = 4 << 10 // small items are copied into shared chunks of this size
)

// An inbox holds the items of one stream between the connection's reader, which never waits, and the consumer, who may
// take its time: the daemon sends only as many as were granted.
type inbox struct {
	mu      sync.Mutex
	items   [][]byte
	chunk   chunk
	largest int
	credit  uint64 // items granted and not yet received
	ended   bool
	err     error
	wake    chan struct{} // holds a token when something changed
}

func newInbox() *inbox { return &inbox{credit: firstWindow, wake: make(chan struct{}, 1)} }

// put queues an item. It is for the reader.
func (x *inbox) put(payload item) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.ended:
		return
	case x.credit == 0:
		x.endLocked(Errorf(Corrupt, "the daemon sent more items than it was granted"))
		return
	}
	x.credit--
	x.largest = max(x.largest, len(payload.b))
	if !payload.owned {
		payload.b = x.chunk.keep(payload.b)
	}
	x.items = append(x.items, payload.b)
	x.wakeUp()
}

// A chunk is memory that small payloads share.
type chunk struct {
	b    []byte
	used int
}

// keep returns a copy of b that nobody changes.
func (c *chunk) keep(b []byte) []byte {
	if len(b) > len(c.b)-c.used {
		*c = chunk{b: make([]byte, max(chunkSize, len(b)))}
	}
	start := c.used
	c.used += copy(c.b[start:], b)
	return c.b[start:c.used:c.used]
}

// close ends the stream behind the items that are queued.
func (x *inbox) close(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.endLocked(err)
}

func (x *inbox) endLocked(err error) {
	if !x.ended {
		x.ended, x.err = true, err
	}
	x.wakeUp()
}

func (x *inbox) wakeUp() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// take waits for the next item. At the end of the stream ok is false and err says why it ended, if not regularly. When ctx
// ends, what is queued is not taken any more: a slow consumer would never see the end.
func (x *inbox) take(ctx context.Context) (item []byte, ok bool, err error) {
	for ctx.Err() == nil {
		item, ended, err := x.tryTake()
		if item != nil || ended {
			return item, !ended, err
		}
		select {
		case <-x.wake:
		case <-ctx.Done():
		}
	}
	return nil, false, ctx.Err()
}

func (x *inbox) tryTake() (item []byte, ended bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.items) == 0 {
		return nil, x.ended, x.err
	}
	item, x.items[0] = x.items[0], nil
	x.items = x.items[1:]
	return item, false, nil
}

// refill returns how many more items to grant: nothing until half of the window is used up.
func (x *inbox) refill() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	window := uint64(min(max(windowBytes/max(x.largest, 1), minWindow), maxWindow))
	ahead := x.credit + uint64(len(x.items))
	if x.ended || ahead > window/2 {
		return 0
	}
	x.credit += window - ahead
	return window - ahead
}
