package main

import (
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The figures of one transport in one round, in the order of columns.
type figures [len(columns)]float64

// A column is one measurement, and the transport that its ratios refer to. Latencies are better when small, rates when
// large.
type column struct {
	name string
	base int
}

var columns = [...]column{
	{"p50 µs", raw},
	{"p99 µs", raw},
	{"1x64 k/s", raw},
	{"1x1024 k/s", raw},
	{"batch k/s", coalesced},
	{"1 MiB echo/s", raw},
}

const largePayload = 1 << 20

// run measures every transport in every round.
func run(rounds int, slice time.Duration) (string, error) {
	dir, err := os.MkdirTemp("", "b")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	var servers []*server
	for _, t := range transports() {
		s, err := startServer(t, dir)
		if err != nil {
			return "", err
		}
		defer s.stop()
		servers = append(servers, s)
	}
	all := make([][]figures, len(servers))
	for range rounds {
		for i, s := range servers {
			f, err := measure(s, slice)
			if err != nil {
				return "", err
			}
			all[i] = append(all[i], f)
		}
	}
	table, err := render(servers, all)
	if err != nil {
		return "", err
	}
	beyond, err := beyondCalls(servers[lnk], rounds)
	return table + beyond, err
}

func measure(s *server, slice time.Duration) (f figures, err error) {
	c, err := s.transport.dial(s.path)
	if err != nil {
		return f, err
	}
	defer c.Close()
	small, large := make([]byte, 64), make([]byte, largePayload)
	if f[0], f[1], err = ping(c, small, slice); err != nil {
		return f, err
	}
	if f[2], err = pipelined(c, small, 64, slice); err != nil {
		return f, err
	}
	if f[3], err = pipelined(c, small, 1024, slice); err != nil {
		return f, err
	}
	if f[4], err = batched(c, small, slice); err != nil {
		return f, err
	}
	f[5], err = sequential(c, large, slice)
	return f, err
}

// ping returns the median and the 99th percentile of single calls, in microseconds.
func ping(c caller, payload []byte, slice time.Duration) (p50, p99 float64, err error) {
	var times []float64
	for end := time.Now().Add(slice); time.Now().Before(end); {
		start := time.Now()
		if err := c.Echo(payload); err != nil {
			return 0, 0, err
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/1e3)
	}
	slices.Sort(times)
	return quantile(times, 0.50), quantile(times, 0.99), nil
}

// quantile picks from sorted values.
func quantile(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func sequential(c caller, payload []byte, slice time.Duration) (float64, error) {
	count, start := 0, time.Now()
	for ; time.Since(start) < slice; count++ {
		if err := c.Echo(payload); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(start).Seconds(), nil
}

// pipelined returns thousands of calls per second with n in flight on one connection.
func pipelined(c caller, payload []byte, n int, slice time.Duration) (float64, error) {
	if w, ok := c.(windower); ok {
		return windowed(w, payload, n, slice)
	}
	var count atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, n)
	start := time.Now()
	for range n {
		group.Go(func() {
			for time.Since(start) < slice {
				if err := c.Echo(payload); err != nil {
					failed <- err
					return
				}
				count.Add(1)
			}
		})
	}
	group.Wait()
	elapsed := time.Since(start)
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(count.Load()) / elapsed.Seconds() / 1e3, nil
	}
}

// batched returns thousands of calls per second that are made as batches; NaN for who cannot.
func batched(c caller, payload []byte, slice time.Duration) (float64, error) {
	const batch = 20_000
	b, ok := c.(batcher)
	if !ok {
		return math.NaN(), nil
	}
	count, start := 0, time.Now()
	for ; time.Since(start) < slice; count += batch {
		if err := b.Batch(payload, batch); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(start).Seconds() / 1e3, nil
}

func windowed(w windower, payload []byte, n int, slice time.Duration) (float64, error) {
	const batch = 8192
	count, start := 0, time.Now()
	for ; time.Since(start) < slice; count += batch {
		if err := w.Window(payload, n, batch); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(start).Seconds() / 1e3, nil
}
