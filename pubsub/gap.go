package pubsub

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// GapError says that events are gone that the subscriber has not seen: the buffer overran, or was lost. Some of them
// may have matched the subscription's pattern. The subscription goes on after it.
type GapError struct {
	From uint64 // the first event that is gone
	To   uint64 // the last; 0 if the bus began anew, so that nobody knows
}

// Error implements error.
func (e *GapError) Error() string {
	if e.To == 0 {
		return fmt.Sprintf("events from %d on are lost: the bus began anew", e.From)
	}
	return fmt.Sprintf("events %d to %d are not stored any more: some may have been missed", e.From, e.To)
}

// gaps is what a subscription knows about events that it may have missed.
type gaps struct {
	behind   bool      // the last event was not the newest one that matched
	looked   time.Time // when the stream's state was last looked at
	reported uint64    // the last event of the last gap within a topic
}

// gap reports that all events between two numbers are gone, and goes on behind them.
func (s *subscription) gap(from, to uint64) error {
	s.next = max(s.next, to+1)
	return s.report(from, to)
}

func (s *subscription) report(from, to uint64) error {
	if !s.yield(Event{}, &GapError{From: from, To: to}) {
		return errStopped
	}
	return nil
}

// overrun reports a gap when the buffer threw events away that a slow subscriber had not got yet. It looks only if
// there were more events when the last one came, and the next one has not the next number; once a second at most.
func (s *subscription) overrun(ctx context.Context, stream jetstream.Stream, seq uint64) error {
	if !s.gaps.behind || seq == s.next || time.Since(s.gaps.looked) < time.Second {
		return nil
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return broken("cannot look at the stored events", err)
	}
	if first := min(info.State.FirstSeq, seq); first > s.needed() {
		if err := s.gap(s.needed(), first-1); err != nil {
			return err
		}
	}
	return s.checkTopics(ctx, stream, info)
}

// checkTopics reports gaps within topics that have as many events as the bus keeps of one: if the oldest of them is
// beyond the next event, older ones may be gone. Events of other topics in between are still there.
func (s *subscription) checkTopics(ctx context.Context, stream jetstream.Stream, info *jetstream.StreamInfo) error {
	s.gaps.looked = time.Now()
	most := info.Config.MaxMsgsPerSubject
	if most <= 0 || info.State.Msgs < uint64(most) {
		return nil
	}
	topics, err := stream.Info(ctx, jetstream.WithSubjectFilter(s.pattern))
	if err != nil {
		return broken("cannot look at the stored topics", err)
	}
	for topic, count := range topics.State.Subjects {
		if count < uint64(most) {
			continue
		}
		oldest, err := stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(topic))
		if err != nil {
			return broken("cannot look at the oldest event of "+topic, err)
		}
		if oldest.Sequence <= max(s.needed(), s.gaps.reported) {
			continue
		}
		s.gaps.reported = oldest.Sequence
		if err := s.report(s.needed(), oldest.Sequence-1); err != nil {
			return err
		}
	}
	return nil
}
