package trustd

import (
	"context"
	"maps"
	"slices"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// signRequest is one signature on its way. What has become of it is written under repository.mu.
type signRequest struct {
	role    string
	sig     trust.Signature
	match   string // digest of what was signed, or empty
	by      caller
	settled bool
	out     outcome
	err     error
}

// enqueue announces a signature, before its turn at the repository. Whoever has the next turn takes all that were announced,
// so that two hundred people who sign at once wait for a few writes to the disk and not for two hundred.
func (r *repository) enqueue(role string, sig trust.Signature, match string, by caller) *signRequest {
	q := &signRequest{role: role, sig: sig, match: match, by: by}
	r.queueMu.Lock()
	defer r.queueMu.Unlock()
	r.queue = append(r.queue, q)
	return q
}

// settle returns what became of a signature that was announced (rules R9 to R12).
func (r *repository) settle(ctx context.Context, q *signRequest) (outcome, error) {
	if !q.settled {
		r.queueMu.Lock()
		batch := r.queue
		r.queue = nil
		r.queueMu.Unlock()
		r.settleAll(ctx, batch)
	}
	return q.out, q.err
}

// settleAll adds every signature of the batch that is good, and publishes the documents for which the last one that was
// missing is among them. Signatures that are good are kept even if publishing fails.
func (r *repository) settleAll(ctx context.Context, batch []*signRequest) {
	next := r.state.clone()
	signed := map[string]trust.Document{}
	good := map[string][]*signRequest{} // by role
	for _, q := range batch {
		q.settled = true
		if q.err = r.gather(next, signed, q); q.err == nil {
			good[q.role] = append(good[q.role], q)
		}
	}
	var err error
	for _, role := range slices.Sorted(maps.Keys(signed)) {
		if err == nil {
			next, err = r.settleRole(ctx, next, role, signed[role], good[role])
		}
		if err != nil { // nor is what others have signed sure to be stored
			fail(good[role], err)
		}
	}
}

func fail(list []*signRequest, err error) {
	for _, q := range list {
		q.err = err
	}
}

// gather adds one signature to the document in signed, or in the state.
func (r *repository) gather(next *state, signed map[string]trust.Document, q *signRequest) error {
	doc, p, err := r.draft(q.role)
	if err != nil {
		return err
	}
	if newer := signed[q.role]; newer != nil {
		doc = newer
	}
	doc, key, err := r.add(q.role, doc, p, q.sig, q.match)
	if err != nil {
		return err
	}
	signed[q.role] = doc
	entry := *p
	entry.Data = doc.Bytes()
	next.Pending[q.role] = &entry
	event := r.event(q.role, doc, &entry)
	event.Key = string(key)
	next.tell(r.name, kindSigned, event)
	next.lines = append(next.lines, r.line(key, "tuf:"+q.role+" accepted", doc, q.by))
	return nil
}

// settleRole stores the signatures of one role, and publishes if they are enough. It returns the state to go on with, or why
// nothing can be stored.
func (r *repository) settleRole(ctx context.Context, next *state, role string, doc trust.Document, mine []*signRequest) (*state, error) {
	var failed error
	if r.process(role, doc, next.Pending[role]).Complete() {
		out, err := r.finish(ctx, next.clone(), role, doc, mine[len(mine)-1].by)
		if err == nil {
			for _, q := range mine {
				q.out = out
			}
			return r.state.clone(), nil
		}
		failed = r.kept(role, doc, err)
		if r.drafts[role] == nil { // it is published after all, and only not visible yet
			fail(mine, failed)
			return r.state.clone(), nil
		}
	}
	if err := r.commit(next, nil); err != nil {
		return nil, err
	}
	r.drafts[role] = doc
	for _, q := range mine {
		q.out, q.err = r.waiting(role, doc), failed
	}
	return next.clone(), nil
}

// kept says that the signature is not lost although something failed.
func (r *repository) kept(role string, doc trust.Document, err error) error {
	hint := "then: " + trust.CommandLine(r.name, "publish", "")
	if cure := ipc.HintOf(err); cure != "" {
		hint = cure + ", " + hint
	}
	return ipc.Errorf(ipc.CodeOf(err), "the signature is kept, but %s v%d cannot be published: %w", role, doc.Version(), err).WithHint(hint)
}
