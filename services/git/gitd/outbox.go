package gitd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/project"
)

// outbox publishes one event per ref of every step of our chains of signed refs. The chains are the record; all that the
// outbox remembers is the last step of each that the bus has stored. So a crash at any point loses no event, and what is
// published a second time has the id that it had the first time.
type outbox struct {
	bus      *pubsub.Client
	peer     peer.ID
	state    string // folder of what was published last
	log      *slog.Logger
	activity *activate.Activity

	ctx  context.Context // ends when the daemon does
	done sync.WaitGroup

	mu      sync.Mutex
	tracks  map[project.URN]*track
	saving  map[project.URN]bool
	late    map[project.URN]*repository // what could not be published when it was due
	reason  error                       // why, by the last attempt
	working bool                        // a goroutine goes on with late
}

// track is how far the events of one project have got.
type track struct {
	turn  chan struct{} // held (by a value in it) while publishing: events of a project leave in order
	known bool
	mark       // what the bus has stored last
	saved mark // what the file says
}

// mark is where two chains have got to, zero for their beginning.
type mark struct {
	last project.OID // signed refs of ours
	step project.OID // of the record of how the identity is signed
}

// Limits of one attempt to publish, with the wait for those before. A bus that works stores more than one event in a
// millisecond; a slow machine may need seconds to start it, or to get an event onto the disk. Below the 5 s in which a daemon
// that is told to leave answers.
const (
	publishLimit = 4 * time.Second
	perEvent     = 2 * time.Millisecond
)

// Pauses between attempts to publish what is late.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// publish stores the events of the signed refs up to tip; made is the step that the caller has just committed. If it
// cannot, the events leave later.
func (o *outbox) publish(ctx context.Context, repo *repository, tip project.OID, made ...step) error {
	err := o.flush(ctx, repo, tip, made)
	if err != nil {
		o.postpone(repo, err)
		return err
	}
	o.saveSoon(repo.disk.URN)
	return nil
}

// flush publishes what lies between the last published signed refs and tip.
func (o *outbox) flush(ctx context.Context, repo *repository, tip project.OID, made []step) error {
	t, left, err := o.begin(ctx, repo.disk.URN)
	if err != nil {
		return err
	}
	defer t.give()
	tips, err := repo.tipsBetween(ctx, t.last, tip, made)
	if err != nil {
		return err
	}
	var s step
	for _, tip := range tips {
		if s, err = repo.stepTo(ctx, tip, s, made); err != nil {
			return err
		}
		if err := o.store(ctx, left, s); err != nil {
			return err
		}
		t.last, left = tip, publishLimit
	}
	return nil
}

func (o *outbox) store(ctx context.Context, limit time.Duration, s step) error {
	messages, err := git.Events(s.before, s.next)
	if err != nil {
		return err
	}
	return o.send(ctx, limit, messages)
}

// begin waits until the events of a project are the caller's to publish, and knows how far they have got. It returns how much
// of publishLimit is left for them.
func (o *outbox) begin(ctx context.Context, urn project.URN) (t *track, left time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	began := time.Now()
	t = o.track(urn)
	if err := t.take(ctx); err != nil {
		return nil, 0, err
	}
	left = publishLimit - time.Since(began)
	if err := o.load(t, urn); err != nil {
		t.give()
		return nil, 0, err
	}
	return t, left, nil
}

func (o *outbox) send(ctx context.Context, limit time.Duration, messages []pubsub.Message) error {
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit+perEvent*time.Duration(len(messages)))
	defer cancel()
	_, err := o.bus.Publish(ctx, messages...)
	return err
}

// publishSteps stores the events of the steps that we have taken with the project's identity. If it cannot, they leave
// later.
func (o *outbox) publishSteps(ctx context.Context, repo *repository) error {
	if err := o.flushSteps(ctx, repo); err != nil {
		o.postpone(repo, err)
		return err
	}
	o.saveSoon(repo.disk.URN)
	return nil
}

func (o *outbox) flushSteps(ctx context.Context, repo *repository) error {
	t, left, err := o.begin(ctx, repo.disk.URN)
	if err != nil {
		return err
	}
	defer t.give()
	tip, err := repo.disk.SigningTip(ctx)
	if err != nil || tip == t.step {
		return err
	}
	steps, err := repo.disk.Steps(ctx, t.step, tip)
	if err != nil {
		return err
	}
	var messages []pubsub.Message
	for _, s := range steps {
		if s.Peer == o.peer { // other peers' daemons publish theirs
			messages = append(messages, git.IdentityEvent(s))
		}
	}
	if err := o.send(ctx, left, messages); err != nil {
		return err
	}
	t.step = tip
	return nil
}

func (o *outbox) track(urn project.URN) *track {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.tracks[urn]
	if t == nil {
		t = &track{turn: make(chan struct{}, 1)}
		o.tracks[urn] = t
	}
	return t
}

func (t *track) take(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("earlier events are still on their way: %w", ctx.Err())
	}
}

func (t *track) give() { <-t.turn }

// postpone leaves the events of a project to the background, which keeps the daemon from leaving until they are stored.
func (o *outbox) postpone(repo *repository, reason error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late[repo.disk.URN], o.reason = repo, reason
	if o.working {
		return
	}
	o.working = true
	o.activity.Add(1)
	o.done.Go(o.catchUp)
}

// catchUp publishes what is late until nothing is.
func (o *outbox) catchUp() {
	defer o.activity.Add(-1)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		select {
		case <-o.ctx.Done():
			return
		case <-time.After(pause):
		}
		for _, repo := range o.lateNow() {
			if err := o.retry(repo); err != nil {
				o.log.Warn("events are still deferred", "project", repo.disk.URN, "err", err)
				o.postpone(repo, err)
				break // the bus is the same for all
			}
		}
		if o.finished() {
			return
		}
	}
}

func (o *outbox) retry(repo *repository) error {
	tip, err := repo.disk.Ref(o.ctx, project.SignedRefsRef(o.peer))
	if err != nil {
		return err
	}
	if err := o.flush(o.ctx, repo, tip, nil); err != nil {
		return err
	}
	if err := o.flushSteps(o.ctx, repo); err != nil {
		return err
	}
	o.mu.Lock()
	delete(o.late, repo.disk.URN)
	o.mu.Unlock()
	o.save(repo.disk.URN)
	return nil
}

func (o *outbox) lateNow() []*repository {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Values(o.late))
}

// waiting says why events wait for the bus; nil if none do.
func (o *outbox) waiting() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.late) == 0 {
		return nil
	}
	hint := cmp.Or(ipc.HintOf(o.reason), "lnk status shows whether the bus runs")
	return ipc.Errorf(ipc.Unavailable, "events are deferred until the bus is back: %w", o.reason).WithHint(hint)
}

// finished ends the work in the same breath in which it finds nothing left, so that what comes later starts it anew.
func (o *outbox) finished() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.working = len(o.late) > 0
	return !o.working
}

// load reads what a former process has published. A file that is damaged counts as none: events then go out again, with
// their old ids.
func (o *outbox) load(t *track, urn project.URN) error {
	if t.known {
		return nil
	}
	data, err := os.ReadFile(o.path(urn))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read what was published last: %w", err)
	}
	lines := append(strings.Fields(string(data)), "", "")
	for i, into := range []*project.OID{&t.last, &t.step} {
		if oid, err := project.ParseOID(lines[i]); err == nil {
			*into = oid
		}
	}
	t.saved, t.known = t.mark, true
	return nil
}

// savePause gathers the pushes of a burst, and keeps the disk free for them.
const savePause = 500 * time.Millisecond

// saveSoon has how far events have got written down in a moment, or when the daemon leaves. A push does not wait for it:
// what is not written is published again by the next process, with the same ids.
func (o *outbox) saveSoon(urn project.URN) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.saving[urn] {
		return
	}
	o.saving[urn] = true
	o.done.Go(func() {
		select {
		case <-o.ctx.Done():
		case <-time.After(savePause):
		}
		o.mu.Lock()
		delete(o.saving, urn)
		o.mu.Unlock()
		o.save(urn)
	})
}

// save writes down how far events have got.
func (o *outbox) save(urn project.URN) {
	t := o.track(urn)
	t.turn <- struct{}{}
	defer t.give()
	if !t.known || t.mark == t.saved {
		return
	}
	if err := profile.WriteFile(o.path(urn), fmt.Appendf(nil, "%s\n%s\n", t.last, t.step), 0o600); err != nil {
		o.log.Warn("cannot remember what was published", "project", urn, "err", err)
		return
	}
	t.saved = t.mark
}

func (o *outbox) path(urn project.URN) string { return filepath.Join(o.state, urn.RID()+".published") }

// step is one link of a chain of signed refs.
type step struct {
	tip    project.OID
	before project.SignedRefs // what next.Parent holds, empty for the first
	next   project.SignedRefs
}

// tipsBetween walks a chain back from tip to last and returns its commits, last excluded, oldest first: only those, as
// each set of signed refs may be large and a chain long. A chain without last in it is returned from its beginning. made
// spares reading what the caller has just written.
func (r *repository) tipsBetween(ctx context.Context, last, tip project.OID, made []step) (tips []project.OID, err error) {
	for at := tip; at != last && !at.IsZero(); {
		signed, err := r.recall(ctx, at, made)
		if err != nil {
			return nil, err
		}
		tips = append(tips, at)
		at = signed.Parent
	}
	slices.Reverse(tips)
	return tips, nil
}

// stepTo returns the link of a chain that ends at tip; former is the one before it, if the caller has that.
func (r *repository) stepTo(ctx context.Context, tip project.OID, former step, made []step) (step, error) {
	next, err := r.recall(ctx, tip, made)
	if err != nil || !former.tip.IsZero() {
		return step{tip, former.next, next}, err
	}
	before, err := r.recall(ctx, next.Parent, made)
	return step{tip, before, next}, err
}

func (r *repository) recall(ctx context.Context, at project.OID, made []step) (project.SignedRefs, error) {
	for _, s := range made {
		if s.tip == at {
			return s.next, nil
		}
		if s.next.Parent == at {
			return s.before, nil
		}
	}
	return r.signedAt(ctx, at)
}
