package pubsub

import "time"

// SetQuiet shortens the time after which a subscription without events notes how far it has seen.
func (c *Client) SetQuiet(d time.Duration) { c.quiet = d }
