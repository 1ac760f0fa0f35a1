package trustd

import (
	"bytes"
	"context"
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
		return outcome{}, ipc.Errorf(ipc.AlreadyExists, "Bootstrap state is %s", phase)
	}
	root, err := r.acceptRoot(req.root, nil)
	if err != nil {
		return outcome{}, err
	}
	if len(root.Signatures()) == 0 {
		return outcome{}, ipc.Errorf(ipc.BadRequest, "Metadata requires at least one valid signature")
	}
	if !allValid(trust.SigningOf(root, nil), root) {
		return outcome{}, ipc.Errorf(ipc.BadRequest, "Bootstrap has invalid signature(s)")
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
	return r.hold(ctx, next, trust.RoleRoot, root, pending{Task: task, Deadline: req.deadline}, by)
}

// hold stores a new pending document, or publishes it at once if it is signed by enough.
func (r *repository) hold(ctx context.Context, next *state, role string, doc trust.Document, p pending, by caller) (outcome, error) {
	p.Data, p.Since = doc.Bytes(), r.now().UTC().Truncate(time.Second)
	if !p.Deadline.IsZero() && !p.Deadline.After(r.now()) {
		return outcome{}, ipc.Errorf(ipc.BadRequest, "the deadline %s has passed", p.Deadline.Format(time.RFC3339))
	}
	next.Pending[role] = &p
	if r.signing(role, doc, &p).Complete() {
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

// acceptRoot parses a root document and checks what clients check late or not at all (D5). previous is nil at the bootstrap.
func (r *repository) acceptRoot(data []byte, previous *trust.Root) (*trust.Root, error) {
	root, err := trust.ParseRoot(data)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %w", err)
	}
	want := int64(1)
	if previous != nil {
		want = previous.Version() + 1
	}
	if root.Version() != want {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: Expected root version %d instead got version %d", want, root.Version())
	}
	if err := r.checkRoot(root); err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %w", err)
	}
	return root, nil
}

func (r *repository) checkRoot(root *trust.Root) error {
	if !root.Expires().After(r.now()) {
		return ipc.Errorf(ipc.BadRequest, "root expired on %s", root.Expires().Format(time.RFC3339))
	}
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

// allValid reports whether every signature of doc counts for somebody (rule R3, defect D1).
func allValid(s trust.Signing, doc trust.Document) bool {
	good := s.Own.Signed
	if s.Previous != nil {
		good = slices.Concat(good, s.Previous.Signed)
	}
	for _, sig := range doc.Signatures() {
		if !slices.ContainsFunc(good, func(k trust.Key) bool { return k.ID == sig.KeyID }) {
			return false
		}
	}
	return true
}

// signing counts the signatures of a pending document.
func (r *repository) signing(role string, doc trust.Document, p *pending) trust.Signing {
	if root, ok := doc.(*trust.Root); ok {
		return trust.SigningOf(root, r.root)
	}
	who, _ := r.delegated(role, p)
	return trust.Signing{Own: doc.(*trust.Targets).Progress(who)}
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
	if old := r.drafts[trust.RoleRoot]; old != nil {
		return outcome{}, ipc.Errorf(ipc.Conflict, "Root v%d is pending signatures already", old.Version()).
			WithHint("replace it with lnk trust override (PATCH /api/v1/metadata/sign), or end it with lnk trust cancel")
	}
	root, err := r.acceptRoot(data, r.root)
	if err != nil {
		return outcome{}, err
	}
	if err := r.checkSigned(root); err != nil {
		return outcome{}, err
	}
	return r.hold(ctx, r.state.clone(), trust.RoleRoot, root, pending{Task: task, Deadline: deadline}, by)
}

func (r *repository) checkSigned(root *trust.Root) error {
	if len(root.Signatures()) == 0 {
		return ipc.Errorf(ipc.BadRequest, "Metadata requires at least one valid signature")
	}
	if !allValid(trust.SigningOf(root, r.root), root) {
		return ipc.Errorf(ipc.BadRequest, "Invalid signature")
	}
	return nil
}

// draft returns a pending document that has not run out of time.
func (r *repository) draft(role string) (trust.Document, *pending, error) {
	doc, p := r.drafts[role], r.state.Pending[role]
	if doc == nil {
		return nil, nil, ipc.Errorf(ipc.NotFound, "No signatures pending for %s", role)
	}
	if !p.Deadline.IsZero() && !p.Deadline.After(r.now()) {
		return nil, nil, ipc.Errorf(ipc.NotFound, "No signatures pending for %s: the time to sign ended on %s", role, p.Deadline.Format(time.RFC3339))
	}
	return doc, p, nil
}

// add returns doc with the signature, and whose it is. Whatever is wrong with it is "Invalid signature" to the API.
func (r *repository) add(role string, doc trust.Document, p *pending, sig trust.Signature) (trust.Document, peer.ID, error) {
	var signed trust.Document
	var err error
	var who []trust.Key
	switch d := doc.(type) {
	case *trust.Root:
		who = d.Role(trust.RoleRoot).Keys
		if r.root != nil {
			who = slices.Concat(who, r.root.Role(trust.RoleRoot).Keys)
		}
		signed, err = trust.AddSignature(d, r.root, sig)
	case *trust.Targets:
		members, _ := r.delegated(role, p)
		who = members.Keys
		var f *trust.File
		if f, err = d.AddSignature(members, sig); err == nil {
			signed = d.With(f)
		}
	}
	if err != nil {
		return nil, "", ipc.Errorf(ipc.CodeOf(err), "Invalid signature").WithHint(err.Error())
	}
	i := slices.IndexFunc(who, func(k trust.Key) bool { return k.ID == sig.KeyID })
	id, err := peer.FromPublicKey(who[i].Public)
	return signed, id, err
}

// finish publishes a document that is signed by enough, and ends its process. next is taken over.
func (r *repository) finish(ctx context.Context, next *state, role string, doc trust.Document, by caller) (outcome, error) {
	p := next.Pending[role]
	delete(next.Pending, role)
	c := change{}
	first := r.root == nil
	drafts := map[string]*trust.Targets{}
	switch d := doc.(type) {
	case *trust.Root:
		if err := r.checkRoot(d); err != nil { // time has passed since it was accepted
			return outcome{}, err
		}
		next.Bootstrap = next.bootstrapTask()
		c.root = d
		if first {
			var err error
			if drafts, err = r.awaitDelegated(next); err != nil {
				return outcome{}, err
			}
		}
	case *trust.Targets:
		if !d.Expires().After(r.now()) {
			return outcome{}, ipc.Errorf(ipc.Conflict, "%s v%d expired on %s", role, d.Version(), d.Expires().Format(time.RFC3339))
		}
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
		doc, err := trust.NewTargets(trust.TargetsSpec{Version: 1, Expires: next.expiry(d.Name, r.now())})
		if err != nil {
			return nil, err
		}
		drafts[d.Name] = doc
		next.await(r, d.Name, doc, &d)
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
	if match != "" && match != digest(old) {
		return outcome{}, ipc.Errorf(ipc.Conflict, "%s was replaced meanwhile: its digest is %s, not %s", role, digest(old), match).
			WithHint("look at what is pending now: lnk trust show")
	}
	doc, err := r.acceptOverride(role, data, old, p)
	if err != nil {
		return outcome{}, err
	}
	if bytes.Equal(doc.Payload(), old.Payload()) {
		return outcome{}, ipc.Errorf(ipc.AlreadyExists, "Metadata cannot be patched - new metadata same as the old one")
	}
	if len(doc.Signatures()) == 0 {
		return outcome{}, ipc.Errorf(ipc.BadRequest, "Metadata requires at least one valid signature")
	}
	if !allValid(r.signing(role, doc, p), doc) {
		return outcome{}, ipc.Errorf(ipc.BadRequest, "Invalid signature")
	}
	next := r.state.clone()
	entry := *p
	entry.Task = task
	next.tell(r.name, kindReplaced, r.event(role, doc, &entry))
	if r.root == nil {
		next.Bootstrap = signingPrefix + task
	}
	return r.hold(ctx, next, role, doc, entry, by)
}

func (r *repository) acceptOverride(role string, data []byte, old trust.Document, p *pending) (trust.Document, error) {
	if role == trust.RoleRoot {
		return r.acceptRoot(data, r.root)
	}
	doc, err := trust.ParseTargets(data)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %w", err)
	}
	if doc.Version() != old.Version() {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: Expected %s version %d instead got version %d", role, old.Version(), doc.Version())
	}
	if !doc.Expires().After(r.now()) || len(doc.Spec().Delegated) > 0 || doc.Spec().Bins != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "Failed to verify the trust: %s must not be expired, and must not delegate", role)
	}
	return doc, r.checkPaths(role, doc, p)
}

// checkPaths refuses targets that the role may not speak for.
func (r *repository) checkPaths(role string, doc *trust.Targets, p *pending) error {
	d := p.Delegation
	if d == nil {
		i := slices.IndexFunc(r.state.Settings.Delegated, func(d delegation) bool { return d.Name == role })
		if i < 0 {
			return ipc.Errorf(ipc.Conflict, "nothing is delegated to %s any more", role)
		}
		d = &r.state.Settings.Delegated[i]
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
	if match != "" && match != digest(doc) {
		return outcome{}, ipc.Errorf(ipc.Conflict, "%s was replaced meanwhile: its digest is %s, not %s", role, digest(doc), match)
	}
	next := r.state.clone()
	next.drop(r, role, doc, p)
	if err := r.commit(next, nil); err != nil {
		return outcome{}, err
	}
	delete(r.drafts, role)
	return outcome{role: role, version: doc.Version(), bootstrap: r.root == nil}, nil
}

func (s *state) drop(r *repository, role string, doc trust.Document, p *pending) {
	delete(s.Pending, role)
	if s.phase() == phaseSigning && role == trust.RoleRoot {
		s.Bootstrap, s.Settings = "", settings{}
	}
	s.tell(r.name, kindCancelled, r.event(role, doc, p))
}

// retry publishes what is signed by enough already and could not be published then.
func (r *repository) retry(ctx context.Context, by caller) error {
	for role, doc := range r.drafts {
		if _, p, err := r.draft(role); err == nil && r.signing(role, doc, p).Complete() {
			if _, err := r.finish(ctx, r.state.clone(), role, doc, by); err != nil {
				return err
			}
		}
	}
	return nil
}
