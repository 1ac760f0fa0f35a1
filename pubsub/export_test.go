package pubsub

import (
	"context"
	"time"
)

// SetQuiet shortens the time after which a subscription without events notes how far it has seen. Noted is told of it.
func (c *Client) SetQuiet(d time.Duration, noted func(next uint64)) { c.quiet, c.noted = d, noted }

// Consumers tells how many subscribers the bus remembers.
func (c *Client) Consumers(ctx context.Context) (int, error) {
	info, err := c.look(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Consumers, nil
}
