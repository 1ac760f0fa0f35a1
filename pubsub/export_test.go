package pubsub

import "time"

// SetQuiet shortens the time after which a subscription without events notes how far it has seen. Noted is told of it.
func (c *Client) SetQuiet(d time.Duration, noted func(next uint64)) { c.quiet, c.noted = d, noted }
