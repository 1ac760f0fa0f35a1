// Package probe measures how fast a live socket answers, beside what two processes on the same machine reach over a bare
// socket pair at the same time. It calls ipc.ping alone, so it changes nothing.
package probe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// rounds is how often each way of calling has its turn, so that a machine that gets busy is equally hard on all.
const rounds = 10

// Config says how to measure.
type Config struct {
	// Calls is how many sequential calls are made at most, and how many with others in flight; 0 means any number.
	Calls int
	// InFlight is how many calls are made at once to measure the rate, from 1 to what the socket takes.
	InFlight int
	// Duration is how long the whole may take.
	Duration time.Duration
	// Progress is told from time to time which part is done, from 0 to 1; nil tells nobody.
	Progress func(done float64)
}

// Result has the figures of the socket, those of the floor, and the former divided by the latter. Times are of sequential calls:
// a ratio of 1.2 is a fifth slower. Rates are calls a second with InFlight of them at once: a ratio of 1.2 is a fifth more.
type Result struct {
	Calls    int     `json:"calls" cbor:"0,keyasint"` // answered, of both kinds
	InFlight int     `json:"in_flight" cbor:"1,keyasint"`
	P50      Compare `json:"p50_ns" cbor:"2,keyasint"`
	P99      Compare `json:"p99_ns" cbor:"3,keyasint"`
	Rate     Compare `json:"calls_per_second" cbor:"4,keyasint"`
}

// Compare is a figure beside the floor's.
type Compare struct {
	Socket float64 `json:"socket" cbor:"0,keyasint"`
	Floor  float64 `json:"floor" cbor:"1,keyasint"`
	Ratio  float64 `json:"ratio" cbor:"2,keyasint"`
}

func compare(socket, floor float64) Compare { return Compare{socket, floor, socket / floor} }

// A way is what is measured: one call, and as many as fit into a time with n of them in flight.
type way interface {
	call(ctx context.Context) error
	many(ctx context.Context, n, limit int, slice time.Duration) (calls int, err error)
}

type figures struct {
	times []time.Duration
	rates []float64
	calls int
}

// Measure calls the client's socket and the floor in turn. It ends early with ctx.
func Measure(ctx context.Context, c *ipc.Client, f *Floor, cfg Config) (Result, error) {
	var socket, floor figures
	turns := []struct {
		way     way
		figures *figures
	}{{f, &floor}, {pinger{c}, &socket}}
	for _, t := range turns { // the first call may start the daemon
		if err := t.way.call(ctx); err != nil {
			return Result{}, err
		}
	}
	slice := cfg.Duration / (2 * 2 * rounds)
	limit := (cfg.Calls + rounds - 1) / rounds
	for round := range rounds {
		for _, t := range turns {
			if err := t.figures.round(ctx, t.way, cfg.InFlight, limit, slice); err != nil {
				return Result{}, err
			}
		}
		if cfg.Progress != nil {
			cfg.Progress(float64(round+1) / rounds)
		}
	}
	return Result{
		Calls: socket.calls, InFlight: cfg.InFlight,
		P50:  compare(quantile(socket.times, 50), quantile(floor.times, 50)),
		P99:  compare(quantile(socket.times, 99), quantile(floor.times, 99)),
		Rate: compare(quantile(socket.rates, 50), quantile(floor.rates, 50)),
	}, nil
}

// round makes calls one after the other, and then many at once, at most limit of each unless that is 0.
func (f *figures) round(ctx context.Context, w way, inFlight, limit int, slice time.Duration) error {
	for start, n := time.Now(), 0; time.Since(start) < slice && (limit == 0 || n < limit); n++ {
		sent := time.Now()
		if err := w.call(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f.times = append(f.times, time.Since(sent))
		f.calls++
	}
	start := time.Now()
	calls, err := w.many(ctx, inFlight, limit, slice)
	if err != nil {
		return err
	}
	f.rates = append(f.rates, float64(calls)/time.Since(start).Seconds())
	f.calls += calls
	return nil
}

func quantile[N time.Duration | float64](all []N, percent int) float64 {
	slices.Sort(all)
	return float64(all[(len(all)-1)*percent/100])
}

type pinger struct{ client *ipc.Client }

func (p pinger) call(ctx context.Context) error {
	_, err := ipc.Ping.Call(ctx, p.client, ipc.Empty{})
	return err
}

func (p pinger) many(ctx context.Context, n, limit int, slice time.Duration) (int, error) {
	var begun, done atomic.Int64
	var callers sync.WaitGroup
	failures := make([]error, n)
	start := time.Now()
	for i := range n {
		callers.Go(func() {
			for failures[i] == nil && time.Since(start) < slice && (limit == 0 || begun.Add(1) <= int64(limit)) {
				if failures[i] = p.call(ctx); failures[i] == nil {
					done.Add(1)
				}
			}
		})
	}
	callers.Wait()
	return int(done.Load()), errors.Join(failures...)
}
