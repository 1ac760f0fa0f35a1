package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
	bus := busdtest.Start(t, busd.Config{})
	stale := bus.Socket + "2"
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	public := filepath.Join(filepath.Dir(bus.Socket), "public", "s")
	if err := errors.Join(os.Mkdir(filepath.Dir(public), 0o700), os.Chmod(filepath.Dir(public), 0o777)); err != nil {
		t.Fatal(err)
	}
	if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: public, Net: "unix"}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, test := range []struct {
		name, socket string
		want         ipc.Code
		hint         bool
	}{
		{"no socket", bus.Socket + "3", ipc.Unavailable, true},
		{"a socket nobody listens on", stale, ipc.Unavailable, true},
		{"a socket that anybody may have made", public, ipc.PermissionDenied, false},
		{"a path that is too long", "/" + strings.Repeat("x", 200), ipc.Unavailable, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := pubsub.NewClient(test.socket, "test")
			began := time.Now()
			if _, err := c.Publish(t.Context(), messages(1, 1)...); !errors.Is(err, test.want) || test.hint && ipc.HintOf(err) == "" {
				t.Errorf("Publish: %v (hint %q)", err, ipc.HintOf(err))
			}
			for _, err := range c.Subscribe(t.Context(), "rad.>", pubsub.Start{}) {
				if !errors.Is(err, test.want) {
					t.Errorf("Subscribe: %v", err)
				}
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestHungBus: somebody accepts the connection and says nothing.
func TestHungBus(t *testing.T) {
	dir, err := os.MkdirTemp("", "hung")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	c := pubsub.NewClient(filepath.Join(dir, "s"), "test")
	if _, err := c.Publish(ctx, messages(1, 1)...); !errors.Is(err, ipc.DeadlineExceeded) && !errors.Is(err, ipc.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestClosedClient(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	publish(t, c, messages(1, 1)...)
	c.Close()
	if _, err := c.Publish(t.Context(), messages(2, 2)...); !errors.Is(err, ipc.Unavailable) {
		t.Errorf("got %v", err)
	}
}
