package cli

import (
	"context"
	"errors"
	"hash/fnv"
	"iter"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/lnk-suite/lnk/pubsub"
)

// A consumer deals with the events of one lnk sub. Events of one topic always take the same lane, so they stay in order.
type consumer struct {
	app      *app
	args     subArgs
	position *position
	skipped  atomic.Int64 // events whose program failed and that --fail=skip passed over
}

func (c *consumer) run(ctx context.Context, events iter.Seq2[pubsub.Event, error]) error {
	group, ctx := errgroup.WithContext(ctx)
	lanes := make([]chan pubsub.Event, c.args.Jobs)
	for i := range lanes {
		lanes[i] = make(chan pubsub.Event)
		group.Go(func() error { return c.serve(ctx, lanes[i]) })
	}
	group.Go(func() error {
		defer closeAll(lanes)
		return c.receive(ctx, events, lanes)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if n := c.skipped.Load(); n > 0 {
		return &exitError{status: exitPartial, message: "the program failed for " + count(int(n), "event")}
	}
	return nil
}

func closeAll(lanes []chan pubsub.Event) {
	for _, lane := range lanes {
		close(lane)
	}
}

// receive hands the events to the lanes until there are no more, or --count of them.
func (c *consumer) receive(ctx context.Context, events iter.Seq2[pubsub.Event, error], lanes []chan pubsub.Event) error {
	var received uint64
	for event, err := range events {
		if gap := (*pubsub.GapError)(nil); errors.As(err, &gap) {
			c.app.note("gap: %v", gap)
			continue
		}
		if err != nil {
			return err
		}
		c.position.begin(event.Seq)
		select {
		case lanes[lane(event.Topic, len(lanes))] <- event:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if received++; received == c.args.Count {
			return nil
		}
	}
	return ctx.Err()
}

func lane(topic string, lanes int) int {
	hash := fnv.New32a()
	hash.Write([]byte(topic))
	return int(hash.Sum32() % uint32(lanes))
}

func (c *consumer) serve(ctx context.Context, events <-chan pubsub.Event) error {
	for event := range events {
		if err := c.handle(ctx, event); err != nil {
			return err
		}
		if err := c.position.done(event.Seq); err != nil {
			return err
		}
	}
	return nil
}

func (c *consumer) handle(ctx context.Context, event pubsub.Event) error {
	if c.args.Exec == "" {
		return c.app.printEvent(event)
	}
	err := c.react(ctx, event)
	if err == nil || ctx.Err() != nil || !c.args.Fail.skip {
		return err
	}
	c.skipped.Add(1)
	c.app.note("%v, skipped", err)
	return nil
}
