package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// The figures of one transport, in the order of columns: one of each round, or turn.
type figures [len(columns)][]float64

// A column is one measurement, and the transport that its ratios refer to. Latencies are better when small, rates when
// large.
type column struct {
	name string
	base int
}

var columns = [...]column{
	p50:   {"p50 µs", raw},
	p99:   {"p99 µs", raw},
	few:   {"1x64 k/s", raw},
	many:  {"1x1024 k/s", raw},
	batch: {"batch k/s", coalesced},
	large: {"1 MiB echo/s", raw},
}

const (
	p50 = iota
	p99
	few
	many
	batch
	large
)

const largePayload = 1 << 20

// The scheduler places two processes well or badly, for some milliseconds at a time, and that moves a latency by more than
// any transport does. So the transports take short turns, many of them: each p50's ratio is of turns next to each other.
// The slowest calls are too few in one turn, so a p99 is of a block of turns.
const (
	blocks = 20
	turns  = 50 // of a block
	turn   = 5 * time.Millisecond
)

// run returns the tables.
func run(rounds int, slice time.Duration) (string, error) {
	servers, stop, err := startServers()
	defer stop()
	if err != nil {
		return "", err
	}
	all := make([]figures, len(servers))
	if err := latencies(servers, all); err != nil {
		return "", err
	}
	if err := rates(servers, all, rounds, slice); err != nil {
		return "", err
	}
	table, err := render(servers, all)
	if err != nil {
		return "", err
	}
	beyond, err := beyondCalls(servers[lnk], rounds)
	return table + beyond, err
}

// latencies appends the figures of all turns.
func latencies(servers []*server, all []figures) error {
	var callers []caller
	for _, s := range servers {
		c, err := s.transport.dial(s.path)
		if err != nil {
			return err
		}
		defer c.Close()
		callers = append(callers, c)
	}
	for range blocks {
		if err := takeTurns(callers, all); err != nil {
			return err
		}
	}
	return nil
}

// takeTurns appends the figures of one block.
func takeTurns(callers []caller, all []figures) error {
	times := make([][]float64, len(callers))
	for range turns {
		for _, i := range rand.Perm(len(callers)) { // whoever follows a slow one finds the processors asleep
			taken, err := ping(callers[i], turn)
			if err != nil {
				return err
			}
			all[i][p50] = append(all[i][p50], median(taken))
			times[i] = append(times[i], taken...)
		}
	}
	for i := range all {
		all[i][p99] = append(all[i][p99], quantile(times[i], 0.99))
	}
	return nil
}

// rates appends the figures of all rounds.
func rates(servers []*server, all []figures, rounds int, slice time.Duration) error {
	for range rounds {
		for i, s := range servers {
			if err := measure(s, &all[i], slice); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure appends the figures of one transport in one round.
func measure(s *server, f *figures, slice time.Duration) error {
	c, err := s.transport.dial(s.path)
	if err != nil {
		return err
	}
	defer c.Close()
	for i, m := range [...]func(caller, time.Duration) (float64, error){
		few: pipelined(64), many: pipelined(1024), batch: batched, large: sequential,
	} {
		if m == nil {
			continue // measured in turns
		}
		value, err := m(c, slice)
		if err != nil {
			return err
		}
		f[i] = append(f[i], value)
	}
	return nil
}

var smallPayload = make([]byte, 64)

// ping returns how long single calls took, in microseconds.
func ping(c caller, slice time.Duration) (times []float64, err error) {
	for end := time.Now().Add(slice); time.Now().Before(end); {
		start := time.Now()
		if err := c.Echo(smallPayload); err != nil {
			return nil, err
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/1e3)
	}
	return times, nil
}

func quantile(values []float64, q float64) float64 {
	return slices.Sorted(slices.Values(values))[int(q*float64(len(values)-1))]
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// sequential returns large calls per second.
func sequential(c caller, slice time.Duration) (float64, error) {
	payload := make([]byte, largePayload)
	count, start := 0, time.Now()
	for ; time.Since(start) < slice; count++ {
		if err := c.Echo(payload); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(start).Seconds(), nil
}

// pipelined returns a measurement of thousands of calls per second with n in flight on one connection.
func pipelined(n int) func(caller, time.Duration) (float64, error) {
	return func(c caller, slice time.Duration) (float64, error) {
		if w, ok := c.(windower); ok {
			return windowed(w, n, slice)
		}
		return concurrent(c, n, slice)
	}
}

func concurrent(c caller, n int, slice time.Duration) (float64, error) {
	var count atomic.Int64
	var group errgroup.Group
	start := time.Now()
	for range n {
		group.Go(func() error {
			for time.Since(start) < slice {
				if err := c.Echo(smallPayload); err != nil {
					return err
				}
				count.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return float64(count.Load()) / time.Since(start).Seconds() / 1e3, err
}

// batched returns thousands of calls per second that are made as batches; NaN for who cannot.
func batched(c caller, slice time.Duration) (float64, error) {
	const size = 20_000
	b, ok := c.(batcher)
	if !ok {
		return math.NaN(), nil
	}
	count, start := 0, time.Now()
	for ; time.Since(start) < slice; count += size {
		if err := b.Batch(smallPayload, size); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(start).Seconds() / 1e3, nil
}

func windowed(w windower, n int, slice time.Duration) (float64, error) {
	const size = 8192
	count, start := 0, time.Now()
	for ; time.Since(start) < slice; count += size {
		if err := w.Window(smallPayload, n, size); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(start).Seconds() / 1e3, nil
}
