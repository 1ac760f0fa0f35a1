package busd_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/pubsub"
)

// TestKillWhilePublishing kills the bus at a random moment of each of many publications, small ones and those that go
// as one batch. Every message is there in the end, in order and once, and a subscriber that was there all the time has
// seen exactly that.
func TestKillWhilePublishing(t *testing.T) {
	const rounds, each = 60, 40 // 8 and 72 in turn: one by one, and as a batch
	b := newBus(t, time.Minute)
	b.supervise()
	c := b.client()
	seen := make(chan []string, 1)
	go func() { seen <- follow(t, b.client(), rounds*each) }()
	kills, sent := 0, 0
	for round := range rounds {
		n := each - 32 + 64*(round%2)
		killer := time.AfterFunc(time.Duration(rand.IntN(30))*time.Millisecond, b.kill)
		acks, err := c.Publish(limited(t), numbered(sent+1, sent+n)...)
		if !killer.Stop() {
			kills++
		}
		if err != nil || len(acks) != n {
			t.Fatalf("round %d: %d of %d acknowledged, %v", round, len(acks), n, err)
		}
		for i, ack := range acks {
			if want := uint64(sent + i + 1); ack.Seq != want {
				t.Fatalf("message %d got number %d", want, ack.Seq)
			}
		}
		sent += n
	}
	want := make([]string, sent)
	for i := range want {
		want[i] = strconv.Itoa(i + 1)
	}
	if got := ids(t, c); !slices.Equal(got, want) {
		t.Errorf("%d messages are stored, not the %d that were published", len(got), len(want))
	}
	if got := <-seen; !slices.Equal(got, want) {
		t.Errorf("the subscriber saw %d messages, not the %d that were published", len(got), len(want))
	}
	if kills < rounds/10 {
		t.Errorf("killed only %d times", kills)
	}
	t.Logf("%d messages, %d kills, %d starts", sent, kills, b.started())
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
