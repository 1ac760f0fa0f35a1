package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/pubsub/busd/busdtest"
)

const updated = "rad.z6MkPeer.git.updated"

func client(t *testing.T, bus *busdtest.Bus) *pubsub.Client {
	c := pubsub.NewClient(bus.Socket, t.Name())
	t.Cleanup(func() { c.Close() })
	return c
}

// limited is a context for things that must not hang.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func messages(from, to int) []pubsub.Message {
	var msgs []pubsub.Message
	for i := from; i <= to; i++ {
		msgs = append(msgs, pubsub.Message{Topic: updated, ID: fmt.Sprintf("id-%d", i), Schema: "git.updated/1", Data: []byte{0x18, byte(24 + i%100)}})
	}
	return msgs
}

func publish(t *testing.T, c *pubsub.Client, msgs ...pubsub.Message) []pubsub.Ack {
	t.Helper()
	acks, err := c.Publish(limited(t), msgs...)
	if err != nil || len(acks) != len(msgs) {
		t.Fatalf("Publish acknowledged %d of %d: %v", len(acks), len(msgs), err)
	}
	return acks
}

// collect returns what a subscription yields until n events came or it ends.
func collect(t *testing.T, c *pubsub.Client, pattern string, from pubsub.Start, n int) (events []pubsub.Event, gaps []*pubsub.GapError) {
	t.Helper()
	for e, err := range c.Subscribe(limited(t), pattern, from) {
		var gap *pubsub.GapError
		switch {
		case errors.As(err, &gap):
			gaps = append(gaps, gap)
		case err != nil:
			t.Fatalf("after %d events: %v", len(events), err)
		default:
			events = append(events, e)
		}
		if len(events) == n && n > 0 {
			break
		}
	}
	return events, gaps
}

func TestPublishAndReplay(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	publish(t, c, messages(1, 1500)...)
	events, gaps := collect(t, c, "rad.*.git.>", pubsub.Start{All: true, UntilCurrent: true}, 0)
	if len(events) != 1500 || len(gaps) != 0 {
		t.Fatalf("got %d events and %d gaps", len(events), len(gaps))
	}
	for i, e := range events {
		want := messages(i+1, i+1)[0]
		if e.Seq != uint64(i+1) || e.ID != want.ID || e.Topic != want.Topic || e.Schema != want.Schema || string(e.Data) != string(want.Data) {
			t.Fatalf("event %d is %+v", i, e)
		}
		if time.Since(e.Time) > time.Minute {
			t.Fatalf("event %d has time %v", i, e.Time)
		}
	}
}

func TestDuplicatesSurviveRestart(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	first := publish(t, c, messages(1, 3)...)
	bus.Restart()
	again := publish(t, c, messages(2, 4)...)
	for i, want := range []pubsub.Ack{{Seq: first[1].Seq, Duplicate: true}, {Seq: first[2].Seq, Duplicate: true}, {Seq: 4}} {
		if again[i] != want {
			t.Errorf("acknowledgement %d is %+v, want %+v", i, again[i], want)
		}
	}
}

func TestNoBus(t *testing.T) {
	c := pubsub.NewClient(t.TempDir()+"/none", "test")
	_, err := c.Publish(t.Context(), messages(1, 1)...)
	if !errors.Is(err, ipc.Unavailable) || ipc.HintOf(err) == "" {
		t.Errorf("Publish: %v (hint %q)", err, ipc.HintOf(err))
	}
	for _, err := range c.Subscribe(t.Context(), "rad.>", pubsub.Start{}) {
		if !errors.Is(err, ipc.Unavailable) {
			t.Errorf("Subscribe: %v", err)
		}
	}
}
