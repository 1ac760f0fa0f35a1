package busd_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/pubsub"
)

// TestKillWhilePublishing kills the bus at a random moment of each of many batches. Every message is there in the end,
// in order and once, and a subscriber that was there all the time has seen exactly that.
func TestKillWhilePublishing(t *testing.T) {
	const batches, batch = 100, 40
	b := newBus(t, time.Minute)
	b.supervise()
	c := b.client()
	seen := make(chan []string, 1)
	go func() { seen <- follow(t, b.client(), batches*batch) }()
	kills := 0
	for i := range batches {
		killer := time.AfterFunc(time.Duration(rand.IntN(30))*time.Millisecond, b.kill)
		acks, err := c.Publish(limited(t), numbered(i*batch+1, (i+1)*batch)...)
		if !killer.Stop() {
			kills++
		}
		if err != nil || len(acks) != batch {
			t.Fatalf("batch %d: %d acknowledged, %v", i, len(acks), err)
		}
		for j, ack := range acks {
			if n := uint64(i*batch + j + 1); ack.Seq != n {
				t.Fatalf("message %d got number %d", n, ack.Seq)
			}
		}
	}
	want := make([]string, batches*batch)
	for i := range want {
		want[i] = strconv.Itoa(i + 1)
	}
	if got := ids(t, c); !slices.Equal(got, want) {
		t.Errorf("%d messages are stored, not the %d that were published", len(got), len(want))
	}
	if got := <-seen; !slices.Equal(got, want) {
		t.Errorf("the subscriber saw %d messages, not the %d that were published", len(got), len(want))
	}
	if kills < batches/10 {
		t.Errorf("killed only %d times", kills)
	}
	t.Logf("%d messages, %d kills, %d starts", len(want), kills, b.started())
}

// follow returns the ids of the first n events that a subscriber sees.
func follow(t *testing.T, c *pubsub.Client, n int) []string {
	var got []string
	for e, err := range c.Subscribe(limited(t), "rad.>", pubsub.Start{All: true}) {
		if err != nil {
			t.Errorf("the subscriber: %v", err)
			return got
		}
		if got = append(got, e.ID); len(got) == n {
			return got
		}
	}
	return got
}
