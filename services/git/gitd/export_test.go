package gitd

import "time"

// Thrifty is a configuration whose housekeeping finds enough to do after a few pushes, and does not hold back.
func (c Config) Thrifty() Config {
	c.pace = pace{loose: 1, packs: 3, refs: 20, quiet: 5 * time.Millisecond, patience: 100 * time.Millisecond}
	return c
}

// Tidy is Thrifty, but its housekeeping finds enough to do after every transfer.
func (c Config) Tidy() Config {
	c = c.Thrifty()
	c.pace.loose = -1
	return c
}

// Untidy is a configuration whose housekeeping never finds enough to do.
func (c Config) Untidy() Config {
	c.pace = pace{loose: 1e9, packs: 1e9, refs: 1e9}
	return c
}
