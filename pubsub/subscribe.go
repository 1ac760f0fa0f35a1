package pubsub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lnk-suite/lnk/ipc"
)

// Start says where a subscription begins. The zero value means with the events stored from now on; at most one of
// All, Seq, Since and Last is set.
type Start struct {
	All   bool      // with the oldest event there is
	Seq   uint64    // with this number, which may be one more than the last event's and no greater
	Since time.Time // with the first event stored at or after it
	Last  bool      // with the latest event of each topic

	UntilCurrent bool // end after the last event that is stored when the subscription begins
}

func (s Start) check() error {
	set := 0
	for _, is := range []bool{s.All, s.Seq != 0, !s.Since.IsZero(), s.Last} {
		if is {
			set++
		}
	}
	if set > 1 {
		return ipc.Errorf(ipc.BadRequest, "a subscription begins at one place: all, a number, a time, or the last events")
	}
	return nil
}

const (
	prefetch      = 256 // events on their way to a subscriber; at most 8 MB may wait for one client
	prefetchBytes = 2 << 20
	quietTime     = time.Minute      // without an event, after which a subscription notes how far it has seen
	consumerLife  = 10 * time.Minute // of the bus's memory of a subscriber that is gone
)

// Subscribe returns the events whose topics match pattern. It survives restarts of the bus: it connects again, which
// starts the bus if it had left, and goes on where it was. An error that is a *GapError says that events are gone,
// and the subscription goes on after it; any other error is the last thing it yields. Those are ipc.BadRequest for a bad
// pattern, ipc.NotFound for a number to begin with that is not reached yet, ipc.Unavailable if the bus cannot be reached in
// the first place, and ctx's own as ipc.Cancelled or ipc.DeadlineExceeded. After the first success it tries to reach the bus
// for as long as ctx lives.
//
// An open subscription keeps the bus awake. The iterator may be used once.
func (c *Client) Subscribe(ctx context.Context, pattern string, from Start) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		err := CheckPattern(pattern)
		if err == nil {
			err = from.check()
		}
		if err == nil {
			s := subscription{client: c, pattern: pattern, start: from, yield: yield}
			err = s.run(ctx)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(Event{}, err)
		}
	}
}

// errStopped says that the caller has left the loop, or that it has got everything it asked for.
var errStopped = errors.New("subscription ended")

// A subscription is the state of one Subscribe over as many connections as it takes.
type subscription struct {
	client  *Client
	pattern string
	start   Start
	yield   func(Event, error) bool

	reached bool      // the bus was there once
	placed  bool      // next is known; before, start counts
	resumed bool      // this session began with next
	next    uint64    // the number to go on with
	target  uint64    // the last number stored when the subscription began, as far as the caller can tell
	born    time.Time // when the bus's stream was created: another time means other events under the same numbers

	gaps gaps
}

func (s *subscription) run(ctx context.Context) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		began, next := time.Now(), s.next
		err := s.session(ctx)
		switch {
		case errors.Is(err, errStopped):
			return err
		case ctx.Err() != nil:
			return ipc.Errorf(ipc.CodeOf(ctx.Err()), "the subscription to %s ended: %w", s.pattern, ctx.Err())
		case !s.retries(err):
			return err
		case s.next > next || time.Since(began) > time.Second:
			wait = 10 * time.Millisecond // it had worked
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// retries tells whether to connect again after err. Before the first success an absent bus is an error, as somebody
// waits for an answer; afterwards it may come back.
func (s *subscription) retries(err error) bool {
	switch ipc.CodeOf(err) {
	case ipc.Unavailable, ipc.GoingAway, ipc.DeadlineExceeded:
		return s.reached || !isAbsent(err)
	case ipc.ResourceExhausted:
		return s.reached
	}
	return false
}

// session reads events over one connection until it ends.
func (s *subscription) session(ctx context.Context) error {
	conn, err := s.client.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	stream, info, err := conn.look(ctx)
	if err != nil {
		return err
	}
	s.reached = true
	if err := s.place(info); err != nil {
		return err
	}
	s.resumed = s.placed
	if s.resumed {
		if err := s.checkTopics(ctx, stream, info); err != nil {
			return err
		}
	}
	consumer, err := stream.CreateConsumer(ctx, s.config())
	if err != nil {
		return broken("cannot subscribe", err)
	}
	defer conn.forget(consumer.CachedInfo().Name)
	s.born = info.Created
	if s.start.UntilCurrent && consumer.CachedInfo().NumPending == 0 {
		return errStopped
	}
	return s.read(ctx, stream, consumer, info.State.LastSeq)
}

// forget has the bus drop what it keeps of a subscriber, 70 KB, which it would do by itself after consumerLife. It waits for the
// answer, as the bus passes over the request of a connection that is closed when its turn comes; but not for long, as
// somebody may wait for the end of the subscription.
func (c *conn) forget(consumer string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.js.DeleteConsumer(ctx, streamName, consumer)
}

// look returns the stream and its state, within the default time.
func (c *conn) look(ctx context.Context, opts ...jetstream.StreamInfoOpt) (jetstream.Stream, *jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	stream, err := c.js.Stream(ctx, streamName)
	if err != nil {
		return nil, nil, broken("cannot look at the stored events", err)
	}
	if len(opts) == 0 {
		return stream, stream.CachedInfo(), nil
	}
	info, err := stream.Info(ctx, opts...)
	if err != nil {
		return nil, nil, broken("cannot look at the stored events", err)
	}
	return stream, info, nil
}

// broken is a failure in the middle of a conversation, which another connection may cure.
func broken(what string, err error) error { return ipc.Errorf(ipc.Unavailable, "%s: %w", what, err) }

// place decides where to go on, now that the stream's state is known, and reports what is missing.
func (s *subscription) place(info *jetstream.StreamInfo) error {
	first, last := max(info.State.FirstSeq, 1), info.State.LastSeq
	if !s.placed {
		s.target = last
	}
	switch {
	case s.placed:
	case s.start.Seq > last+1:
		return ipc.Errorf(ipc.NotFound, "there is no event %d: the next one will be %d", s.start.Seq, last+1).
			WithHint(fmt.Sprintf("begin with %d; if there was such an event, the bus has lost it and numbers anew: begin with all", last+1))
	case s.start.Seq != 0:
		s.next, s.placed = s.start.Seq, true
	case s.start == Start{} || s.start == Start{UntilCurrent: true}:
		s.next, s.placed = last+1, true
	default:
		return nil // All, Since and Last: the bus knows better
	}
	anew := s.next > last+1 || !s.born.IsZero() && !s.born.Equal(info.Created)
	switch {
	case s.needed() < first:
		return s.gap(s.needed(), first-1)
	case anew:
		from := s.next
		s.next, s.start.Last = first, false // all of the new bus is new
		return s.gap(from, 0)
	}
	return nil
}

func (s *subscription) config() jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, FilterSubject: s.pattern, MemoryStorage: true, InactiveThreshold: consumerLife,
	}
	switch {
	case s.placed:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.next
	case s.start.All:
		config.DeliverPolicy = jetstream.DeliverAllPolicy
	case s.start.Last:
		config.DeliverPolicy = jetstream.DeliverLastPerSubjectPolicy
	default:
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.start.Since
	}
	return config
}

// read yields events until the connection ends. seen is the last number stored when the consumer was created: with
// nothing pending there is no match up to it.
func (s *subscription) read(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer, seen uint64) error {
	if consumer.CachedInfo().NumPending == 0 {
		s.next, s.placed = max(s.next, seen+1), true
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(prefetch, prefetchBytes))
	if err != nil {
		return broken("cannot subscribe", err)
	}
	defer messages.Stop()
	for n := uint64(1); ; {
		msg, err := nextMessage(ctx, s.client.quiet, messages)
		if errors.Is(err, errQuiet) {
			err = s.noteProgress(ctx, stream, consumer, n)
		} else if err == nil {
			err = s.deliver(ctx, stream, msg, n)
			n++
		}
		if err != nil {
			return err
		}
	}
}

// errQuiet says that nothing has come for a while.
var errQuiet = errors.New("no event for a while")

func nextMessage(ctx context.Context, wait time.Duration, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	quiet, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	msg, err := messages.Next(jetstream.NextContext(quiet))
	switch {
	case err == nil:
		return msg, nil
	case ctx.Err() == nil && quiet.Err() != nil:
		return nil, errQuiet
	}
	return nil, broken("the subscription was interrupted", err)
}

// noteProgress moves on past events that do not match, so that their expiry is not taken for a gap later. The consumer's nth
// event is awaited: only if it has delivered no more is nothing on its way.
func (s *subscription) noteProgress(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer, n uint64) error {
	state, err := stream.Info(ctx)
	if err != nil {
		return broken("cannot look at the stored events", err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return broken("cannot look at the subscription", err)
	}
	if info.NumPending == 0 && info.Delivered.Consumer < n {
		s.next, s.placed = max(s.next, state.State.LastSeq+1), true
	}
	if s.client.noted != nil {
		s.client.noted(s.next)
	}
	return nil
}

// deliver yields the consumer's nth event. When the client is slower than the bus, nats.go drops events on a full
// channel without a word (status messages take room in it that nobody counts); that shows in the consumer's numbers,
// and another session gets them again.
func (s *subscription) deliver(ctx context.Context, stream jetstream.Stream, msg jetstream.Msg, n uint64) error {
	meta, err := msg.Metadata()
	if err != nil {
		return ipc.Errorf(ipc.Corrupt, "cannot read an event of the bus: %w", err)
	}
	if meta.Sequence.Consumer != n {
		return broken("the subscription was interrupted", errSkipped)
	}
	event := decode(msg, meta)
	if err := s.overrun(ctx, stream, event.Seq); err != nil {
		return err
	}
	superseded, err := s.superseded(ctx, stream, event)
	if err != nil {
		return err
	}
	s.next, s.placed, s.gaps.behind = event.Seq+1, true, meta.NumPending > 0
	if superseded {
		return nil
	}
	if s.start.UntilCurrent && event.Seq > s.target {
		return errStopped
	}
	if !s.yield(event, nil) {
		return errStopped
	}
	if s.start.UntilCurrent && (event.Seq == s.target || meta.NumPending == 0) {
		return errStopped
	}
	return nil
}

// superseded tells whether a subscription to the last event of each topic passes over this one. The bus sees to that itself,
// until the connection is lost in the middle: what it calls the last afterwards may be an event that came after one which
// was not delivered yet. So everything is read again from there on.
func (s *subscription) superseded(ctx context.Context, stream jetstream.Stream, event Event) (bool, error) {
	if !s.resumed || event.Seq >= s.needed() {
		return false, nil
	}
	newer, err := stream.GetMsg(ctx, event.Seq+1, jetstream.WithGetMsgSubject(event.Topic))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	case err != nil:
		return false, broken("cannot look for a later event of "+event.Topic, err)
	}
	return newer.Sequence <= s.target, nil
}

// needed is the number from which on the caller wants every event that matches: before it, only the last of each topic.
func (s *subscription) needed() uint64 {
	if s.start.Last {
		return max(s.next, s.target+1)
	}
	return s.next
}

func decode(msg jetstream.Msg, meta *jetstream.MsgMetadata) Event {
	return Event{
		Message: Message{Topic: msg.Subject(), ID: msg.Headers().Get(headerID), Schema: msg.Headers().Get(headerSchema), Data: msg.Data()},
		Seq:     meta.Sequence.Stream,
		Time:    meta.Timestamp,
	}
}
