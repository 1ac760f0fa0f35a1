package trustd

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

// outcome is what became of a request.
type outcome struct {
	role      string
	version   int64
	bootstrap bool     // the document belongs to the bootstrap
	complete  bool     // it is published
	digest    string   // of what is pending now
	done      []string // artifacts or roles that the request was about
	refused   []string // and those that it could not be done for
}

// bootstrapRequest begins a repository.
type bootstrapRequest struct {
	settings settings
	root     []byte
	deadline time.Time
}

// bootstrap accepts the first root, which its signers may sign when they can (rules R1 to R6).
func (r *repository) bootstrap(ctx context.Context, req bootstrapRequest, task string, by caller) (outcome, error) {
	if phase := r.state.phase(); phase != phaseNone {
		return outcome{}, ipc.Errorf(ipc.AlreadyExists, "Bootstrap state is %s", phase).
			WithHint("it has begun already: " + trust.CommandLine(r.name, "status", "") + "; another one has another name: lnk trust init -r NAME")
	}
	root, err := r.acceptRoot(req.root)
	if err != nil {
		return outcome{}, err
	}
	process, err := trust.RootProcess(nil, nil).Propose(root, r.now())
	if errors.Is(err, trust.ErrInvalid) {
		return outcome{}, ipc.Errorf(ipc.BadRequest, "Bootstrap has invalid signature(s)")
	}
	if err != nil {
		return outcome{}, r.inWords(trust.RoleRoot, root, err)
	}
	next := r.state.clone()
	next.Settings = req.settings
	next.Settings.Delegated = online(req.settings.Delegated, onlineKey(root))
	for _, d := range next.Settings.Delegated {
		if err := d.check(root); err != nil {
			return outcome{}, err
		}
	}
	next.Settings.RootThreshold, next.Settings.RootKeys = root.Role(trust.RoleRoot).Threshold, len(root.Signatures())
	next.Bootstrap = signingPrefix + task
	return r.hold(ctx, next, trust.RoleRoot, process, pending{Task: task, Deadline: req.deadline}, by)
}

// hold stores a process that begins anew, or publishes its document at once if it is signed by enough.
func (r *repository) hold(ctx context.Context, next *state, role string, process trust.Process, p pending, by caller) (outcome, error) {
	doc := process.Document()
	p.Data, p.Since = doc.Bytes(), r.now().UTC().Truncate(time.Second)
	if !p.Deadline.IsZero() && !p.Deadline.After(r.now()) {
		return outcome{}, ipc.Errorf(ipc.BadRequest, "the deadline %s has passed", p.Deadline.Format(time.RFC3339))
	}
	next.Pending[role] = &p
	if process.Complete() {
		return r.finish(ctx, next, role, doc, by)
	}
	next.tell(r.name, kindPending, r.event(role, doc, &p))
	if err := r.commit(next, nil); err != nil {
		return outcome{}, err
	}
	r.drafts[role] = doc
	return r.waiting(role, doc), nil
}

func (r *repository) waiting(role string, doc trust.Document) outcome {
	return outcome{role: role, version: doc.Version(), bootstrap: r.root == nil, digest: digest(doc)}
}

// acceptRoot parses a root document and checks what a repository of ours demands besides the rules of TUF (D5).
func (r *repository) acceptRoot(data []byte) (*trust.Root, error) {
	root, err := trust.ParseRoot(data)
	if err == nil {
		err = checkRoot(root)
	}
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %w", err)
	}
	return root, nil
}

func checkRoot(root *trust.Root) error {
	if !root.ConsistentSnapshot() {
		return ipc.Errorf(ipc.BadRequest, "consistent_snapshot must be true")
	}
	online := root.Role(trust.RoleTimestamp)
	for _, name := range []string{trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets} {
		role := root.Role(name)
		if len(role.Keys) != 1 || !bytes.Equal(role.Keys[0].Public, online.Keys[0].Public) {
			return ipc.Errorf(ipc.BadRequest, "timestamp, snapshot and targets must have one key, the same for all")
		}
	}
	for _, k := range root.Role(trust.RoleRoot).Keys {
		if bytes.Equal(k.Public, online.Keys[0].Public) {
			return ipc.Errorf(ipc.BadRequest, "the online key must not be a root key as well")
		}
	}
	return nil
}

// process returns the signing of a role's document. A root may be nil: then nothing waits.
func (r *repository) process(role string, doc trust.Document, p *pending) trust.Process {
	if targets, ok := doc.(*trust.Targets); ok {
		who, _ := r.delegated(role, p)
		return trust.TargetsProcess(who, targets)
	}
	root, _ := doc.(*trust.Root)
	return trust.RootProcess(r.root, root)
}

// signing counts the signatures of a pending document.
func (r *repository) signing(role string, doc trust.Document, p *pending) trust.Signing {
	return r.process(role, doc, p).Progress()
}

// inWords says as Repository Service for TUF does why a process refused next.
func (r *repository) inWords(role string, next trust.Document, err error) error {
	switch {
	case errors.Is(err, trust.ErrUnsigned):
		return ipc.Errorf(ipc.BadRequest, "Metadata requires at least one valid signature")
	case errors.Is(err, trust.ErrInvalid):
		return ipc.Errorf(ipc.BadRequest, "Invalid signature")
	case errors.Is(err, trust.ErrUnchanged):
		return ipc.Errorf(ipc.AlreadyExists, "Metadata cannot be patched - new metadata same as the old one")
	case errors.Is(err, trust.ErrVersion):
		want := r.process(role, r.drafts[role], r.state.Pending[role]).Next()
		return ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: Expected %s version %d instead got version %d", role, want, next.Version())
	case errors.Is(err, trust.ErrExpired):
		return ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %s expired on %s", role, next.Expires().Format(time.RFC3339))
	case errors.Is(err, trust.ErrReplaced):
		return ipc.Errorf(ipc.Conflict, "%s: %w", role, err).WithHint("look at what is pending now: " + trust.CommandLine(r.name, "show", role))
	}
	return err
}

// delegated returns who signs a role below targets.
func (r *repository) delegated(role string, p *pending) (trust.Role, bool) {
	if p.Delegation != nil {
		who, err := p.Delegation.role(r.root)
		return who, err == nil
	}
	return r.edition.targets.Delegated(role)
}

// update accepts the next version of root (rules R7 and R8). What is pending is never replaced by it (D2).
func (r *repository) update(ctx context.Context, data []byte, deadline time.Time, task string, by caller) (outcome, error) {
	if r.root == nil {
		return outcome{}, ipc.Errorf(ipc.Conflict, "Metadata Update requires a completed bootstrap")
	}
	root, err := r.acceptRoot(data)
	if err != nil {
		return outcome{}, err
	}
	process, err := r.process(trust.RoleRoot, r.drafts[trust.RoleRoot], nil).Propose(root, r.now())
	if errors.Is(err, trust.ErrPending) {
		return outcome{}, ipc.Errorf(ipc.Conflict, "Root v%d is pending signatures already", r.drafts[trust.RoleRoot].Version()).
			WithHint("replace it with " + trust.CommandLine(r.name, "override", "") + " (PATCH /api/v1/metadata/sign), or end it with " + trust.CommandLine(r.name, "cancel", ""))
	}
	if err != nil {
		return outcome{}, r.inWords(trust.RoleRoot, root, err)
	}
	return r.hold(ctx, r.state.clone(), trust.RoleRoot, process, pending{Task: task, Deadline: deadline}, by)
}

// draft returns a pending document.
func (r *repository) draft(role string) (trust.Document, *pending, error) {
	doc, p := r.drafts[role], r.state.Pending[role]
	if doc == nil {
		return nil, nil, ipc.Errorf(ipc.NotFound, "No signatures pending for %s", role).
			WithHint("see what is pending: " + trust.CommandLine(r.name, "status", ""))
	}
	return doc, p, nil
}

// add returns doc with the signature, and whose it is. Whatever is wrong with it is "Invalid signature" to the API, which has
// no match.
func (r *repository) add(role string, doc trust.Document, p *pending, sig trust.Signature, match string) (trust.Document, peer.ID, error) {
	process, key, err := r.process(role, doc, p).Add(sig, match)
	if errors.Is(err, trust.ErrReplaced) {
		return nil, "", r.inWords(role, doc, err)
	}
	if err != nil {
		return nil, "", ipc.Errorf(ipc.CodeOf(err), "Invalid signature").WithHint(err.Error())
	}
	id, err := peer.FromPublicKey(key.Public)
	return process.Document(), id, err
}

// finish publishes a document that is signed by enough, and ends its process. next is taken over.
func (r *repository) finish(ctx context.Context, next *state, role string, doc trust.Document, by caller) (outcome, error) {
	p := next.Pending[role]
	if _, err := r.process(role, doc, p).Finish(r.now()); err != nil { // time has passed since it was accepted
		return outcome{}, r.inWords(role, doc, err)
	}
	delete(next.Pending, role)
	c := change{}
	first := r.root == nil
	drafts := map[string]*trust.Targets{}
	switch d := doc.(type) {
	case *trust.Root:
		next.Bootstrap = next.bootstrapTask()
		c.root = d
		if first {
			var err error
			if drafts, err = r.awaitDelegated(next); err != nil {
				return outcome{}, err
			}
		}
	case *trust.Targets:
		c.people = map[string]*trust.Targets{role: d}
		if p.Delegation != nil {
			next.Settings.Delegated = withDelegation(next.Settings.Delegated, *p.Delegation)
			c.top = true
		}
	}
	err := r.publish(ctx, next, c, by)
	if r.state == next {
		delete(r.drafts, role)
		for name, doc := range drafts {
			r.drafts[name] = doc
		}
	}
	return outcome{role: role, version: doc.Version(), bootstrap: first, complete: true}, err
}

// awaitDelegated makes the first versions of the roles that the bootstrap has delegated to people. Until they have signed,
// nothing is delegated: a client that follows a delegation to a role that is not there fails.
func (r *repository) awaitDelegated(next *state) (map[string]*trust.Targets, error) {
	drafts := map[string]*trust.Targets{}
	all := next.Settings.Delegated
	next.Settings.Delegated = nil
	for _, d := range all {
		if len(d.Keys) == 0 {
			next.Settings.Delegated = append(next.Settings.Delegated, d)
			continue
		}
		var err error
		if drafts[d.Name], err = r.propose(next, d.Name, nil, time.Time{}, &d); err != nil {
			return nil, err
		}
	}
	return drafts, nil
}

// override replaces what is pending (rules P1 to P8): it drops the signatures collected so far, so it must bring one over
// the new content. match is the digest of what the caller saw, or empty.
func (r *repository) override(ctx context.Context, role string, data []byte, match, task string, by caller) (outcome, error) {
	old, p, err := r.draft(role)
	if err != nil {
		return outcome{}, err
	}
	doc, err := r.acceptOverride(role, data, p)
	if err != nil {
		return outcome{}, err
	}
	process, err := r.process(role, old, p).Override(doc, match, r.now())
	if err != nil {
		return outcome{}, r.inWords(role, doc, err)
	}
	next := r.state.clone()
	entry := *p
	entry.Task = task
	next.tell(r.name, kindReplaced, r.event(role, doc, &entry))
	if r.root == nil {
		next.Bootstrap = signingPrefix + task
	}
	next.lines = append(next.lines, r.line("", "tuf:"+role+" replaced", old, by))
	return r.hold(ctx, next, role, process, entry, by)
}

func (r *repository) acceptOverride(role string, data []byte, p *pending) (trust.Document, error) {
	if role == trust.RoleRoot {
		return r.acceptRoot(data)
	}
	doc, err := trust.ParseTargets(data)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %w", err)
	}
	if len(doc.Spec().Delegated) > 0 || doc.Spec().Bins != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %s must not delegate", role)
	}
	return doc, r.checkPaths(role, doc, p)
}

// delegationOf returns what is left to a role, or will be when its pending document is published; nil for nothing.
func (r *repository) delegationOf(role string, p *pending) *delegation {
	if p.Delegation != nil {
		return p.Delegation
	}
	if d, known := r.state.Settings.delegation(role); known {
		return &d
	}
	return nil
}

// checkPaths refuses targets that the role may not speak for.
func (r *repository) checkPaths(role string, doc *trust.Targets, p *pending) error {
	d := r.delegationOf(role, p)
	if d == nil {
		return ipc.Errorf(ipc.Conflict, "nothing is delegated to %s any more", role)
	}
	for path := range doc.Spec().Targets {
		if !d.matches(path) {
			return ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %s is not delegated to %s", path, role)
		}
	}
	return nil
}

// cancel ends a signing process (rule R15). match is as for override.
func (r *repository) cancel(role, match string, by caller) (outcome, error) {
	doc, p := r.drafts[role], r.state.Pending[role]
	if doc == nil {
		return outcome{}, ipc.Errorf(ipc.NotFound, "The %s role is not in a signing process.", role)
	}
	if _, err := r.process(role, doc, p).Cancel(match); err != nil {
		return outcome{}, r.inWords(role, doc, err)
	}
	next := r.state.clone()
	next.drop(r, role, doc, p, by)
	if err := r.commit(next, nil); err != nil {
		return outcome{}, err
	}
	delete(r.drafts, role)
	return outcome{role: role, version: doc.Version(), bootstrap: r.root == nil}, nil
}

func (s *state) drop(r *repository, role string, doc trust.Document, p *pending, by caller) {
	delete(s.Pending, role)
	if s.phase() == phaseSigning && role == trust.RoleRoot {
		s.Bootstrap, s.Settings = "", settings{}
	}
	s.tell(r.name, kindCancelled, r.event(role, doc, p))
	s.lines = append(s.lines, r.line("", "tuf:"+role+" cancelled", doc, by))
}

// retry publishes what is signed by enough already and could not be published then. It returns the roles.
func (r *repository) retry(ctx context.Context, by caller) (done []string, err error) {
	for _, role := range slices.Sorted(maps.Keys(r.drafts)) {
		doc := r.drafts[role]
		if !r.process(role, doc, r.state.Pending[role]).Complete() {
			continue
		}
		if _, err := r.finish(ctx, r.state.clone(), role, doc, by); err != nil {
			return done, err
		}
		done = append(done, role)
	}
	return done, nil
}
