package pubsub_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/pubsub/busd/busdtest"
)

// follow runs a subscription in the background and hands over what it yields.
func follow(t *testing.T, c *pubsub.Client, pattern string, from pubsub.Start) (<-chan pubsub.Event, <-chan error) {
	events, errs := make(chan pubsub.Event, 10000), make(chan error, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for e, err := range c.Subscribe(ctx, pattern, from) {
			if err != nil {
				errs <- err
			} else {
				events <- e
			}
		}
	}()
	return events, errs
}

func expect(t *testing.T, events <-chan pubsub.Event, errs <-chan error, ids ...string) {
	t.Helper()
	for _, id := range ids {
		select {
		case e := <-events:
			if e.ID != id {
				t.Fatalf("got event %s (number %d), want %s", e.ID, e.Seq, id)
			}
		case err := <-errs:
			t.Fatalf("waiting for %s: %v", id, err)
		case <-time.After(time.Minute):
			t.Fatalf("waiting for %s: nothing", id)
		}
	}
}

func TestFollowOverRestarts(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	publish(t, c, messages(1, 1)...)
	events, errs := follow(t, c, "rad.>", pubsub.Start{All: true})
	expect(t, events, errs, "id-1")
	bus.Stop()
	bus.Restart()
	publish(t, c, messages(2, 2)...)
	expect(t, events, errs, "id-2")
	bus.Restart()
	expect(t, events, errs)
	publish(t, c, messages(3, 4)...)
	expect(t, events, errs, "id-3", "id-4")
}

func TestStarts(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	publish(t, c, messages(1, 3)...)
	other := pubsub.Message{Topic: "rad.z6MkPeer.script.built", ID: "other"}
	publish(t, c, other)
	all, _ := collect(t, c, "rad.>", pubsub.Start{All: true, UntilCurrent: true}, 0)
	tests := []struct {
		name    string
		pattern string
		start   pubsub.Start
		want    []string
	}{
		{"all of one service", "rad.*.git.>", pubsub.Start{All: true}, []string{"id-1", "id-2", "id-3"}},
		{"from a number", "rad.>", pubsub.Start{Seq: 3}, []string{"id-3", "other"}},
		{"from a number beyond the match", "rad.*.git.>", pubsub.Start{Seq: 4}, nil},
		{"from a time", "rad.>", pubsub.Start{Since: all[2].Time}, []string{"id-3", "other"}},
		{"from a time to come", "rad.>", pubsub.Start{Since: time.Now().Add(time.Hour)}, nil},
		{"the last of each topic", "rad.>", pubsub.Start{Last: true}, []string{"id-3", "other"}},
		{"only new ones", "rad.>", pubsub.Start{}, nil},
		{"nothing matches", "rad.nobody.>", pubsub.Start{All: true}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.start.UntilCurrent = true
			events, gaps := collect(t, c, test.pattern, test.start, 0)
			if len(gaps) != 0 {
				t.Errorf("gap %v", gaps[0])
			}
			if len(events) != len(test.want) {
				t.Fatalf("got %d events, want %v", len(events), test.want)
			}
			for i, e := range events {
				if e.ID != test.want[i] {
					t.Errorf("event %d is %s, want %s", i, e.ID, test.want[i])
				}
			}
		})
	}
}

func TestNewEventsOnly(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	publish(t, c, messages(1, 2)...)
	state, err := c.State(limited(t))
	if err != nil || state.Last != 2 || state.First != 1 || state.Count != 2 {
		t.Fatalf("state %+v, %v", state, err)
	}
	events, errs := follow(t, c, updated, pubsub.Start{Seq: state.Last + 1})
	publish(t, c, messages(3, 3)...)
	expect(t, events, errs, "id-3")
}

// TestNumberBeyondTheEnd: nobody can tell whether such an event is yet to come or was lost, so it is neither awaited nor
// called a loss.
func TestNumberBeyondTheEnd(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	publish(t, c, messages(1, 2)...)
	for _, untilCurrent := range []bool{false, true} {
		var got []error
		for _, err := range c.Subscribe(limited(t), "rad.>", pubsub.Start{Seq: 4, UntilCurrent: untilCurrent}) {
			got = append(got, err)
		}
		if len(got) != 1 || !errors.Is(got[0], ipc.NotFound) || got[0].Error() != "there is no event 4: the next one will be 3" || !strings.Contains(ipc.HintOf(got[0]), "begin with 3") {
			t.Errorf("got %v", got)
		}
	}
}

// TestLastOverRestart loses the connection while the last event of each topic is delivered: only those come all the same,
// and then everything that happens. The bus sends the first ones ahead, so there are more topics than that.
func TestLastOverRestart(t *testing.T) {
	const topics, repeated = 300, 50
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	for i := range topics {
		publish(t, c, pubsub.Message{Topic: fmt.Sprintf("rad.z6MkPeer.script.t%d", i)})
	}
	publish(t, c, messages(1, repeated)...)
	var got []uint64
	for e, err := range c.Subscribe(limited(t), "rad.>", pubsub.Start{Last: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.Seq); len(got) == 1 {
			bus.Restart()
			publish(t, c, messages(repeated+1, repeated+2)...)
		}
		if e.Seq == topics+repeated+2 {
			break
		}
	}
	if len(got) != topics+3 || got[topics-1] != topics || got[topics] != topics+repeated {
		t.Errorf("got %d events: %v", len(got), got[min(len(got), topics-1):])
	}
}

func TestGapAfterLoss(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	publish(t, c, messages(1, 5)...)
	var got []string
	for e, err := range c.Subscribe(limited(t), "rad.>", pubsub.Start{Seq: 5}) {
		var gap *pubsub.GapError
		switch {
		case errors.As(err, &gap):
			got = append(got, gap.Error())
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, e.ID)
		}
		if e.ID == "id-5" {
			bus.Stop()
			if err := os.RemoveAll(bus.Dir); err != nil {
				t.Fatal(err)
			}
			bus.Restart()
			publish(t, c, messages(6, 6)...)
		}
		if e.ID == "id-6" {
			break
		}
	}
	if want := []string{"id-5", "events from 6 on are lost: the bus began anew", "id-6"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestUnreadableStore breaks the store as a lost sector would.
func TestUnreadableStore(t *testing.T) {
	for name, file := range map[string]string{"the description of the stream": "meta.inf", "the events": "msgs/*.blk"} {
		t.Run(name, func(t *testing.T) { testUnreadableStore(t, file) })
	}
}

func testUnreadableStore(t *testing.T, file string) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	publish(t, c, messages(1, 5)...)
	bus.Stop()
	paths, err := filepath.Glob(filepath.Join(bus.Dir, "jetstream", "$G", "streams", "RAD", file))
	if err != nil || len(paths) != 1 {
		t.Fatalf("the files of the store are %q, %v", paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if file == "meta.inf" {
		data = data[:1]
	} else { // the end of the first event and the beginning of the second
		first := binary.LittleEndian.Uint32(data) &^ (1 << 31)
		copy(data[first-2:], "ZZZZZZ")
	}
	if err := os.WriteFile(paths[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	bus.Restart()
	acks := publish(t, c, messages(6, 7)...)
	if acks[0].Seq < uint64(time.Now().Add(-time.Hour).UnixMilli()) || acks[1].Seq != acks[0].Seq+1 {
		t.Errorf("events are numbered %+v: an old number may come again", acks)
	}
	events, gaps := collect(t, c, "rad.>", pubsub.Start{Seq: 3, UntilCurrent: true}, 0)
	if len(gaps) != 1 || gaps[0].From != 3 || gaps[0].To != acks[0].Seq-1 || len(events) != 2 {
		t.Errorf("got gaps %v and %d events", gaps, len(events))
	}
	kept, _ := filepath.Glob(filepath.Join(bus.Dir, "unreadable-*", "$G", "streams", "RAD", "msgs", "*.blk"))
	if len(kept) == 0 {
		t.Error("the unreadable store was not kept")
	}
	bus.Restart()
	if again := publish(t, c, messages(7, 7)...); !again[0].Duplicate || again[0].Seq != acks[1].Seq {
		t.Errorf("after another restart: %+v", again[0])
	}
}

// TestQuietSubscription: a subscription whose pattern nothing matches for long remembers how far it has seen, so that
// it does not report what was thrown away meanwhile.
func TestQuietSubscription(t *testing.T) {
	const others, kept = 300, 10
	bus := busdtest.Start(t, busd.Config{PerTopic: kept})
	c := client(t, bus)
	seen := make(chan struct{})
	once := sync.OnceFunc(func() { close(seen) })
	c.SetQuiet(time.Millisecond, func(next uint64) {
		if next > others {
			once()
		}
	})
	events, errs := follow(t, c, "rad.*.script.>", pubsub.Start{All: true})
	for i := range others / kept {
		publish(t, c, messages(kept*i+1, kept*i+kept)...)
	}
	select {
	case <-seen:
	case err := <-errs:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the subscription does not note how far it has seen")
	}
	bus.Restart()
	publish(t, c, pubsub.Message{Topic: "rad.z6MkPeer.script.built", ID: "one"})
	expect(t, events, errs, "one")
}

func TestBadSubscriptions(t *testing.T) {
	c := pubsub.NewClient("/nowhere", "test")
	now := time.Now()
	for _, sub := range []struct {
		pattern string
		start   pubsub.Start
	}{
		{">", pubsub.Start{}}, {"rad", pubsub.Start{}}, {"rad..git", pubsub.Start{}}, {"rad.>.git", pubsub.Start{}},
		{"rad.a b.>", pubsub.Start{}}, {"rad.x*", pubsub.Start{}}, {"", pubsub.Start{}}, {"$JS.API.>", pubsub.Start{}},
		{"rad.>", pubsub.Start{All: true, Seq: 1}}, {"rad.>", pubsub.Start{Last: true, Since: now}},
	} {
		for _, err := range c.Subscribe(t.Context(), sub.pattern, sub.start) {
			if !errors.Is(err, ipc.BadRequest) {
				t.Errorf("%q from %+v: %v", sub.pattern, sub.start, err)
			}
		}
	}
}

func TestSubscriptionEndsWithContext(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var last error
	for _, err := range c.Subscribe(ctx, "rad.>", pubsub.Start{}) {
		last = err
	}
	if !errors.Is(last, ipc.DeadlineExceeded) {
		t.Errorf("got %v", last)
	}
}

func TestTopics(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	c := client(t, bus)
	if topics, err := c.Topics(limited(t), "rad.>"); err != nil || len(topics) != 0 {
		t.Fatalf("empty bus: %v, %v", topics, err)
	}
	publish(t, c, messages(1, 3)...)
	publish(t, c, pubsub.Message{Topic: "rad.z6MkPeer.script.built"})
	topics, err := c.Topics(limited(t), "rad.>")
	if err != nil || len(topics) != 2 || topics[0] != (pubsub.TopicInfo{Topic: updated, Count: 3}) || topics[1].Count != 1 {
		t.Errorf("got %+v, %v", topics, err)
	}
	if topics, err := c.Topics(limited(t), "rad.*.script.>"); err != nil || len(topics) != 1 {
		t.Errorf("got %+v, %v", topics, err)
	}
}

// A subscription that ends takes the bus's memory of it along: programs that look at the bus every second would fill it.
func TestSubscriptionLeavesNothing(t *testing.T) {
	c := client(t, busdtest.Start(t, busd.Config{}))
	publish(t, c, messages(1, 3)...)
	for range 20 {
		collect(t, c, "rad.>", pubsub.Start{All: true, UntilCurrent: true}, 0)
		collect(t, c, "rad.>", pubsub.Start{All: true}, 1)
	}
	for ctx := limited(t); ; {
		left, err := c.Consumers(ctx)
		if err != nil {
			t.Fatalf("%d subscriptions are still known: %v", left, err)
		}
		if left == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond) // the bus takes its time, and tells nobody
	}
}
