package main

import (
	"context"
	"fmt"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// What ipc promises beyond the speed of calls: a slow consumer does not slow a fast one on the same connection, and a cancel
// reaches the handler at once.

const (
	streamItems = 100_000
	cancels     = 300
)

func beyondCalls(s *server, rounds int) (string, error) {
	c := ipc.NewClient(s.path, "bench")
	defer c.Close()
	var alone, beside, ratio []float64
	for range rounds {
		a, err := streamRate(c)
		if err != nil {
			return "", err
		}
		stop := slowConsumer(c)
		b, err := streamRate(c)
		stop()
		if err != nil {
			return "", err
		}
		alone, beside, ratio = append(alone, a), append(beside, b), append(ratio, b/a)
	}
	delays, err := cancelDelays(c)
	return fmt.Sprintf(`
Stream of %d items to a fast consumer: alone %.0f k/s, beside a slow one on the same connection %.0f k/s, ratio %.2f
Cancel until the handler knows: p50 %.0f µs, p99 %.0f µs
`, streamItems, median(alone), median(beside), median(ratio), quantile(delays, 0.5), quantile(delays, 0.99)), err
}

// streamRate returns how many thousand items per second a consumer gets that does nothing else.
func streamRate(c *ipc.Client) (float64, error) {
	start := time.Now()
	for _, err := range count.Call(context.Background(), c, streamItems) {
		if err != nil {
			return 0, err
		}
	}
	return streamItems / time.Since(start).Seconds() / 1e3, nil
}

// slowConsumer takes an item per millisecond until it is stopped.
func slowConsumer(c *ipc.Client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	first, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i, err := range count.Call(ctx, c, streamItems) {
			if err != nil {
				return
			}
			if i == 0 {
				close(first)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	<-first
	return func() {
		cancel()
		<-done
	}
}

// cancelDelays returns, in microseconds, how long after the cancel of a call its handler had heard of it.
func cancelDelays(c *ipc.Client) (delays []float64, err error) {
	for range cancels {
		ctx, cancel := context.WithCancel(context.Background())
		var at time.Time
		timer := time.AfterFunc(2*time.Millisecond, func() { // when the call waits
			at = time.Now()
			cancel()
		})
		_, _ = wait.Call(ctx, c, ipc.Empty{})
		timer.Stop()
		var when int64
		for when == 0 && err == nil {
			when, err = heard.Call(context.Background(), c, ipc.Empty{})
		}
		if err != nil {
			return nil, err
		}
		delays = append(delays, float64(when-at.UnixNano())/1e3)
	}
	return delays, nil
}
