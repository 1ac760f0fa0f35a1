package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
)

type subArgs struct {
	Pattern      string        `arg:"PATTERN"`
	Args         []string      `arg:"[--exec PROGRAM ARGS...]"`
	Replay       string        `json:"replay" help:"first deliver stored events: <FROM> is all, last (of each topic), a time span like 1h, or seq:N"`
	Durable      string        `json:"durable" help:"remember the position under <NAME> and go on from there next time"`
	Count        uint64        `json:"count" help:"end after <N> events"`
	UntilCurrent bool          `json:"until_current" help:"end when the stored events are delivered"`
	Timeout      time.Duration `json:"timeout" help:"end with status 124 after this <TIME>"`
	Exec         string        `json:"exec" help:"run <PROGRAM> for each event; all that follows are its arguments"`
	Jobs         int           `json:"jobs" help:"run up to <N> programs at once, one per topic"`
	Fail         failPolicy    `json:"fail" help:"what to do when the program fails: <POLICY> is stop (the default), retry:N or skip"`
}

func subCommand(a *app) *cobra.Command {
	return action[subArgs]{
		name:  "sub",
		short: "print events as they happen, or run a program for each",
		long: `Sub subscribes to the topics that match PATTERN and prints one JSON object per event and line, flushed:
{"seq","time","topic","id","schema","data"}. Data is decoded where the schema is known (object ids in hex), otherwise the
payload in base64. Topics are rad.PEER.SERVICE.EVENT; in a pattern, * stands for one word and > for one or more at the end.

It resumes without gaps when the bus or the connection restarts. Events that the bus has dropped meanwhile are reported on
standard error as a gap. --durable NAME remembers the last event that was dealt with and goes on behind it next time, so
that an event is delivered at least once; without a remembered position it starts as --replay says.

With --exec the program runs once per event, without a shell: the payload is its standard input (with -o json the event as
it would be printed), and {1}, {2}, … in its arguments are the words of the topic. Its environment has LNK_TOPIC, LNK_SEQ,
LNK_TIME, LNK_ID, LNK_SCHEMA and LNK_PEER. Events of one topic stay in order. When it fails, --fail=stop ends lnk sub with
the event not dealt with, retry:N tries up to N times more with growing pauses and then stops, skip reports it and goes on.`,
		example: `  lnk sub 'rad.>'
  lnk sub 'rad.*.git.>' --replay all --until-current
  lnk sub 'rad.*.git.updated' --durable ci --fail retry:3 --exec ./build {2}`,
		cannot:   "subscribe",
		exits:    []int{exitPartial, exitNotFound, exitConflict, exitUnavailable, exitDeadline, exitInterrupted},
		defaults: subArgs{Jobs: 1},
		run:      a.subscribe,
	}.command(a)
}

func (a *app) subscribe(ctx context.Context, args subArgs) error {
	if err := args.check(); err != nil {
		return ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	dirs, err := a.dirs()
	if err != nil {
		return err
	}
	if args.Exec != "" {
		if _, err := exec.LookPath(args.Exec); err != nil {
			return ipc.Errorf(ipc.NotFound, "no program %s: %w", args.Exec, err)
		}
	}
	position, err := openPosition(dirs, args.Durable)
	if err != nil {
		return err
	}
	defer position.close()
	if _, err := startFrom(args, 0, time.Now()); err != nil { // before the bus is asked
		return ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	return a.follow(ctx, args, position)
}

// follow deals with events until there are enough, the time is over, or nobody reads what it prints.
func (a *app) follow(ctx context.Context, args subArgs, position *position) error {
	if args.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, args.Timeout)
		defer cancel()
	}
	client, err := a.bus()
	if err != nil {
		return err
	}
	defer client.Close()
	start, err := a.begin(ctx, client, args, position)
	if err != nil {
		return err
	}
	ctx, stop, err := whileRead(ctx, a.Stdout)
	if err != nil {
		return err
	}
	defer stop()
	err = (&consumer{app: a, args: args, position: position}).run(ctx, client.Subscribe(ctx, args.Pattern, start))
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errReaderGone):
		return errReaderGone
	case args.Timeout > 0 && errors.Is(err, ipc.DeadlineExceeded):
		return ipc.Errorf(ipc.DeadlineExceeded, "the time limit of %s passed", args.Timeout)
	}
	return err
}

func (args subArgs) check() error {
	switch {
	case args.Exec == "" && len(args.Args) > 0:
		return fmt.Errorf("unexpected argument %q", args.Args[0])
	case args.Exec == "" && (args.Jobs != 1 || args.Fail != failPolicy{}):
		return errors.New("--jobs and --fail go with --exec")
	case args.Jobs < 1:
		return errors.New("--jobs must be at least 1")
	}
	return nil
}

// begin says where the subscription begins, now that the bus can be asked whether it still is the one of the position.
func (a *app) begin(ctx context.Context, client *pubsub.Client, args subArgs, position *position) (pubsub.Start, error) {
	if args.Durable == "" {
		return startFrom(args, 0, time.Now())
	}
	state, err := client.State(ctx)
	if err != nil {
		return pubsub.Start{}, err
	}
	lost := position.last + 1
	if position.meet(state) {
		return startFrom(args, position.last, time.Now())
	}
	a.note("gap: %v", &pubsub.GapError{From: lost})
	return pubsub.Start{All: true, UntilCurrent: args.UntilCurrent}, nil
}

// startFrom says where to begin: behind the remembered position if there is one, else as --replay wants.
func startFrom(args subArgs, last uint64, now time.Time) (pubsub.Start, error) {
	start := pubsub.Start{UntilCurrent: args.UntilCurrent}
	sequence, bySequence := strings.CutPrefix(args.Replay, "seq:")
	switch {
	case last > 0:
		start.Seq = last + 1
	case args.Replay == "all":
		start.All = true
	case args.Replay == "last":
		start.Last = true
	case bySequence:
		seq, err := strconv.ParseUint(sequence, 10, 64)
		if err != nil || seq == 0 {
			return start, fmt.Errorf("--replay seq:%s: want a sequence number from 1 up", sequence)
		}
		start.Seq = seq
	case args.Replay != "":
		span, err := time.ParseDuration(args.Replay)
		if err != nil || span <= 0 {
			return start, fmt.Errorf("--replay %s: want all, last, a time span like 1h, or seq:N", args.Replay)
		}
		start.Since = now.Add(-span)
	}
	return start, nil
}

// failPolicy is the value of --fail. The zero value is stop.
type failPolicy struct {
	skip    bool
	retries int
}

// UnmarshalText accepts stop, skip and retry:N, the last with a space, too.
func (p *failPolicy) UnmarshalText(text []byte) error {
	word, times, _ := strings.Cut(strings.Replace(string(text), " ", ":", 1), ":")
	n, err := strconv.ParseUint(times, 10, 16)
	switch {
	case word == "stop" && times == "":
		*p = failPolicy{}
	case word == "skip" && times == "":
		*p = failPolicy{skip: true}
	case word == "retry" && err == nil:
		*p = failPolicy{retries: int(n)}
	default:
		return errors.New("want stop, retry:N or skip")
	}
	return nil
}
