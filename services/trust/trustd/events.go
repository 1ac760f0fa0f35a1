package trustd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

// Kinds of events, the last part of their topics.
const (
	kindPending   = "pending"
	kindSigned    = "signed"
	kindReplaced  = "replaced"
	kindCancelled = "cancelled"
	kindPublished = "published"
	kindExpiring  = "expiring"
)

// outgoing is an event that the bus has not stored yet, as far as the state knows. Its id follows from its content, so
// that storing it twice is storing it once.
type outgoing struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Data []byte `json:"data"`
}

// maxOutgoing bounds the events that wait for a bus that never comes; the oldest are dropped.
const maxOutgoing = 1000

// tell adds an event to the state.
func (s *state) tell(repository, kind string, e trust.Event) {
	s.Serial++
	e.Repository, e.Serial = repository, s.Serial
	data, err := ipc.Marshal(e)
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	sum := sha256.Sum256(append([]byte(kind+"\x00"), data...))
	s.Events = append(s.Events, outgoing{kind, hex.EncodeToString(sum[:16]), data})
	if n := len(s.Events) - maxOutgoing; n > 0 {
		s.Events = s.Events[n:]
	}
}

// event describes a pending document.
func (r *repository) event(role string, doc trust.Document, p *pending) trust.Event {
	signing := r.signing(role, doc, p)
	return trust.Event{Role: role, Version: doc.Version(), Digest: digest(doc), Expires: doc.Expires(), Signed: len(signing.Own.Signed), Threshold: signing.Own.Threshold}
}

// unsent returns the events that wait.
func (r *repository) unsent() []outgoing {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Events
}

// sent forgets events. That reaches the disk with the next change: what is published again has the ids that it had.
func (r *repository) sent(events []outgoing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := map[string]bool{}
	for _, e := range events {
		done[e.ID] = true
	}
	next := r.state.clone()
	next.Events = slices.DeleteFunc(next.Events, func(e outgoing) bool { return done[e.ID] })
	r.state = next
}

// outbox brings events to the bus in the background.
type outbox struct {
	bus      *pubsub.Client
	dirs     profile.Dirs
	log      *slog.Logger
	activity *activate.Activity
	ctx      context.Context
	done     sync.WaitGroup

	mu      sync.Mutex
	late    map[*repository]bool
	working bool
}

// Limits of publishing.
const (
	publishLimit = 10 * time.Second
	firstPause   = 100 * time.Millisecond
	lastPause    = 10 * time.Second
	attempts     = 6 // after which events wait for the next change, so that a missing bus does not keep the daemon running
)

// wake has the events of r published soon.
func (o *outbox) wake(r *repository) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late[r] = true
	if o.working || o.ctx.Err() != nil {
		return
	}
	o.working = true
	o.activity.Add(1)
	o.done.Go(o.work)
}

func (o *outbox) work() {
	defer o.activity.Add(-1)
	pause := firstPause
	for failures := 0; ; {
		r := o.next(failures >= attempts)
		if r == nil {
			return
		}
		err := o.publish(r)
		if err == nil {
			failures, pause = 0, firstPause
			continue
		}
		failures++
		o.log.Warn("events are deferred", "repository", r.name, "err", err)
		select {
		case <-o.ctx.Done():
			failures = attempts
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
		if failures < attempts {
			o.mu.Lock()
			o.late[r] = true
			o.mu.Unlock()
		}
	}
}

// next takes a repository that has events, or ends the work.
func (o *outbox) next(giveUp bool) *repository {
	o.mu.Lock()
	defer o.mu.Unlock()
	for r := range o.late {
		delete(o.late, r)
		if !giveUp {
			return r
		}
	}
	o.working = false
	return nil
}

func (o *outbox) publish(r *repository) error {
	events := r.unsent()
	if len(events) == 0 {
		return nil
	}
	p, err := o.dirs.Profile("")
	if err != nil {
		return err
	}
	messages := make([]pubsub.Message, 0, len(events))
	for _, e := range events {
		messages = append(messages, pubsub.Message{Topic: pubsub.Topic(p.Peer, "trust", e.Kind), ID: e.ID, Schema: trust.EventSchema, Data: e.Data})
	}
	ctx, cancel := context.WithTimeout(o.ctx, publishLimit)
	defer cancel()
	acks, err := o.bus.Publish(ctx, messages...)
	r.sent(events[:len(acks)])
	return err
}

// close waits for the background; what is not published by then the next process publishes.
func (o *outbox) close() error {
	o.done.Wait()
	return o.bus.Close()
}
