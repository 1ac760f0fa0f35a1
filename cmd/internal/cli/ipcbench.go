package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/probe"
)

type benchArgs struct {
	Socket   string        `arg:"SOCKET"`
	Calls    int           `json:"calls" help:"make at most <N> calls in each way of calling"`
	InFlight int           `json:"in_flight" help:"<N> calls at once to measure the rate"`
	Duration time.Duration `json:"duration" help:"stop after this <TIME>"`
}

func ipcBench(a *app) *cobra.Command {
	return verb[benchArgs, probe.Result]{
		name:  "bench",
		short: "measure how fast a service answers",
		long: `Bench calls ipc.ping, which changes nothing: one call after the other for the latency, and many at once for the rate. In turn
with them it sends messages of the same size to another process that returns them at once, over a bare pair of sockets:
the floor. Compare ratios rather than times, as machines are noisy: RATIO is the socket's figure divided by the floor's.`,
		example:  "  lnk ipc bench gitd\n  lnk ipc bench trust --in-flight 1024 --duration 10s -o json",
		cannot:   "measure the service",
		exits:    []int{exitNotFound, exitUnavailable, exitDeadline, exitInterrupted},
		defaults: benchArgs{InFlight: 64, Duration: 2 * time.Second},
		run:      a.bench,
		text:     printBench,
	}.command(a)
}

func (a *app) bench(ctx context.Context, args benchArgs) (probe.Result, error) {
	if err := args.check(); err != nil {
		return probe.Result{}, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	client, err := a.dial(args.Socket)
	if err != nil {
		return probe.Result{}, err
	}
	defer client.Close()
	lnk, err := a.program("lnk")
	if err != nil {
		return probe.Result{}, err
	}
	floor, err := probe.NewFloor(ctx, lnk, "ipc", "echo")
	if err != nil {
		return probe.Result{}, err
	}
	defer floor.Close()
	progress, done := a.progress("measuring")
	defer done()
	return probe.Measure(ctx, client, floor, probe.Config{Calls: args.Calls, InFlight: args.InFlight, Duration: args.Duration, Progress: progress})
}

// mostInFlight is what every socket takes (docs/protocol.md).
const mostInFlight = 1024

func (args benchArgs) check() error {
	switch {
	case args.Calls < 0:
		return fmt.Errorf("--calls %d: want a number from 1 up", args.Calls)
	case args.InFlight < 1 || args.InFlight > mostInFlight:
		return fmt.Errorf("--in-flight %d: want a number from 1 to %d", args.InFlight, mostInFlight)
	case args.Duration <= 0:
		return fmt.Errorf("--duration %s: want a time such as 2s", args.Duration)
	}
	return nil
}

func printBench(w io.Writer, r probe.Result) error {
	return table(w, "FIGURE\tSOCKET\tFLOOR\tRATIO", func(row func(...any)) {
		line := func(name, unit string, scale float64, c probe.Compare) {
			row(name, fmt.Sprintf("%.1f %s", c.Socket/scale, unit), fmt.Sprintf("%.1f %s", c.Floor/scale, unit), fmt.Sprintf("%.2f", c.Ratio))
		}
		line("latency, median", "µs", 1e3, r.P50)
		line("latency, 99th percentile", "µs", 1e3, r.P99)
		line(fmt.Sprintf("rate, %d in flight", r.InFlight), "thousand/s", 1e3, r.Rate)
	})
}

// ipcEcho is the other end of the floor.
func ipcEcho(a *app) *cobra.Command {
	c := action[none]{
		name: "echo", short: "return what comes", long: "Echo is started by lnk ipc bench.", cannot: "return what comes",
		run: func(context.Context, none) error { return probe.Echo() },
	}.command(a)
	c.Hidden = true
	return c
}

// progress returns a function that shows on a terminal which part of something is done, and one that takes it off again.
func (a *app) progress(what string) (show func(part float64), done func()) {
	file, ok := a.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, func() {}
	}
	const width = 40
	show = func(part float64) {
		full := int(part * width)
		fmt.Fprintf(file, "\r%s [%s%s] %3.0f %%", what, strings.Repeat("#", full), strings.Repeat(".", width-full), part*100)
	}
	show(0)
	return show, func() { fmt.Fprintf(file, "\r\x1b[K") }
}
