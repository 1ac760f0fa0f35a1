package cli

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/pubsub"
)

// Pauses between the attempts of --fail=retry:N.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
)

// react runs the program for one event, again after a pause as often as --fail allows.
func (c *consumer) react(ctx context.Context, event pubsub.Event) error {
	pause := firstPause
	for attempt := 0; ; attempt++ {
		err := c.runFor(ctx, event)
		if err == nil || attempt >= c.args.Fail.retries {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, maxPause)
	}
}

func (c *consumer) runFor(ctx context.Context, event pubsub.Event) error {
	input, err := c.input(event)
	if err != nil {
		return err
	}
	words := strings.Split(event.Topic, ".")
	command := exec.CommandContext(ctx, c.args.Exec, fillIn(c.args.Args, words)...)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), c.app.Stdout, c.app.Stderr
	command.Env = append(c.app.Environ(), eventEnvironment(event, words)...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	err = command.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot deal with event %d: %s: %w", event.Seq, c.args.Exec, err)
	}
	return nil
}

func (c *consumer) input(event pubsub.Event) ([]byte, error) {
	if c.app.format != jsonFormat {
		return event.Data, nil
	}
	return encodeEvent(event)
}

func eventEnvironment(event pubsub.Event, words []string) []string {
	env := []string{
		"LNK_TOPIC=" + event.Topic,
		"LNK_SEQ=" + strconv.FormatUint(event.Seq, 10),
		"LNK_TIME=" + event.Time.UTC().Format(time.RFC3339Nano),
		"LNK_ID=" + event.ID,
		"LNK_SCHEMA=" + event.Schema,
	}
	if len(words) > 1 {
		env = append(env, "LNK_PEER="+words[1])
	}
	return env
}

// fillIn replaces {1}, {2}, … in the arguments by the words of the topic. Nothing is ever split or expanded further.
func fillIn(args, words []string) []string {
	pairs := make([]string, 0, 2*len(words))
	for i, word := range words {
		pairs = append(pairs, "{"+strconv.Itoa(i+1)+"}", word)
	}
	replace := strings.NewReplacer(pairs...)
	filled := make([]string, len(args))
	for i, arg := range args {
		filled[i] = replace.Replace(arg)
	}
	return filled
}
