package pubsub_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/pubsub/busd/busdtest"
)

// TestGapWithinTopic: one topic has lost events, another has not.
func TestGapWithinTopic(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{PerTopic: 10})
	c := client(t, bus)
	publish(t, c, pubsub.Message{Topic: "rad.z6MkPeer.script.built", ID: "first"}) // 1
	publish(t, c, messages(1, 3)...)                                               // 2 to 4
	publish(t, c, pubsub.Message{Topic: "rad.z6MkPeer.script.built", ID: "other"}) // 5
	publish(t, c, messages(4, 15)...)                                              // 6 to 17, of which 10 stay: from 8
	events, gaps := collect(t, c, "rad.>", pubsub.Start{Seq: 2, UntilCurrent: true}, 0)
	if len(gaps) != 1 || gaps[0].From != 2 || gaps[0].To != 7 {
		t.Errorf("got gaps %v", gaps)
	}
	if len(events) != 11 || events[0].ID != "other" || events[1].Seq != 8 {
		t.Errorf("got %d events, %+v first", len(events), events[0])
	}
	if _, gaps := collect(t, c, "rad.>", pubsub.Start{Seq: 8, UntilCurrent: true}, 0); len(gaps) != 0 {
		t.Errorf("from the oldest event: gaps %v", gaps)
	}
	if _, gaps := collect(t, c, "rad.*.script.>", pubsub.Start{Seq: 2, UntilCurrent: true}, 0); len(gaps) != 0 {
		t.Errorf("on the other topic: gaps %v", gaps)
	}
	if events, gaps := collect(t, c, "rad.>", pubsub.Start{Last: true, UntilCurrent: true}, 0); len(gaps) != 0 || len(events) != 2 {
		t.Errorf("the last of each topic: gaps %v, %d events", gaps, len(events))
	}
}

// TestGapOfSlowSubscriber: the buffer overruns while a subscriber deals with an event.
func TestGapOfSlowSubscriber(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{PerTopic: 300})
	c := client(t, bus)
	publish(t, c, messages(1, 290)...)
	seen, missing, last := 0, 0, 0
	var next uint64 = 1
	for e, err := range c.Subscribe(limited(t), "rad.>", pubsub.Start{All: true, UntilCurrent: true}) {
		var gap *pubsub.GapError
		if errors.As(err, &gap) {
			missing += int(gap.To - next + 1)
			next = gap.To + 1
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != next {
			t.Errorf("event %d came after %d without a word about the gap", e.Seq, next-1)
		}
		next = e.Seq + 1
		if seen++; seen == 1 {
			last = overrun(t, c)
		}
	}
	if missing == 0 || seen+missing < 290 {
		t.Errorf("saw %d events and was told of %d missing ones, of %d", seen, missing, last)
	}
}

// overrun publishes for longer than the time in which a subscription does not look for gaps.
func overrun(t *testing.T, c *pubsub.Client) (last int) {
	last = 290
	for began := time.Now(); last < 1000 || time.Since(began) < 1100*time.Millisecond; last += 100 {
		publish(t, c, messages(last+1, last+100)...)
	}
	return last
}
