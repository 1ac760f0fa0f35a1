package gitd_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/trust"
)

// delegate is somebody who signs through some daemon.
type delegate struct {
	*rig
	keys.Signer
}

func (r *rig) delegate() delegate { return delegate{r, r.agent.Signer(r.peer)} }

// stranger is a delegate whose key is in memory, for tests that need many.
func (r *rig) stranger(seed byte) delegate { return delegate{r, keystest.Signer(seed)} }

func (d delegate) id() peer.ID { return must(peer.FromPublicKey(d.PublicKey()))(d.t) }

func idsOf(list ...delegate) (ids []peer.ID) {
	for _, d := range list {
		ids = append(ids, d.id())
	}
	return ids
}

// shown reads and verifies the identity, and what waits for signatures. A gitd that is killed while it forks leaves its
// connections to the child until that executes git: what is asked over one in that moment has no answer. Reading is safe to
// repeat, over the connection to the next gitd.
func (d delegate) shown(urn project.URN) (project.Identity, *trust.Root, git.Identity) {
	d.t.Helper()
	shown, err := git.ShowIdentity.Call(d.t.Context(), d.rpc, git.ProjectArgs{Project: string(urn)})
	if ipc.CodeOf(err) == ipc.Unavailable {
		shown, err = git.ShowIdentity.Call(d.t.Context(), d.rpc, git.ProjectArgs{Project: string(urn)})
	}
	check(d.t, err)
	identity := must(project.VerifyChain(shown.Documents))(d.t)
	if shown.Next == nil {
		return identity, nil, shown
	}
	return identity, must(project.ParseDocument(shown.Next))(d.t), shown
}

// draft is what follows the identity after a change, signed by d.
func (d delegate) draft(urn project.URN, change func(*project.Spec)) []byte {
	d.t.Helper()
	identity, _, _ := d.shown(urn)
	spec := identity.Spec()
	change(&spec)
	root := must(identity.Next(spec))(d.t)
	return must(trust.SignRoot(d.t.Context(), d.Signer, root, identity.Newest()))(d.t).Bytes()
}

func (d delegate) propose(urn project.URN, change func(*project.Spec)) (git.IdentityResult, error) {
	d.t.Helper()
	return git.ProposeIdentity.Call(d.t.Context(), d.rpc, git.ProposeArgs{Project: string(urn), Document: d.draft(urn, change)})
}

func (d delegate) override(urn project.URN, match string, change func(*project.Spec)) (git.IdentityResult, error) {
	d.t.Helper()
	return git.OverrideIdentity.Call(d.t.Context(), d.rpc, git.OverrideArgs{Project: string(urn), Document: d.draft(urn, change), Match: match})
}

// signature signs what waits, as d has seen it.
func (d delegate) signature(urn project.URN) git.SignArgs {
	d.t.Helper()
	_, pending, shown := d.shown(urn)
	key := must(trust.NewKey(d.PublicKey()))(d.t)
	sig := must(d.Sign(d.t.Context(), pending.Payload()))(d.t)
	return git.SignArgs{Project: string(urn), KeyID: key.ID, Signature: sig, Match: shown.Pending.Digest}
}

func (d delegate) signs(urn project.URN) git.IdentityResult {
	d.t.Helper()
	return must(git.SignIdentity.Call(d.t.Context(), d.rpc, d.signature(urn)))(d.t)
}

// head is where the project's default branch is, and how it is called.
func (r *rig) head(urn project.URN) (branch, commit string) {
	r.t.Helper()
	p := must(git.Show.Call(r.t.Context(), r.rpc, git.ProjectArgs{Project: string(urn)}))(r.t)
	return p.DefaultBranch, p.Head.String()
}

// steps returns the events of an identity's signing, "kind version signed/threshold", oldest first.
func (r *rig) steps() []string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := pubsub.NewClient(r.bus.socket, "gitd test")
	defer client.Close()
	var all []string
	seen := map[string]bool{}
	for e, err := range client.Subscribe(ctx, "rad.*.git.identity.>", pubsub.Start{All: true, UntilCurrent: true}) {
		check(r.t, err)
		if seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		s := must(project.DecodeStep(e.Data))(r.t)
		if e.Topic != git.IdentityTopic(s.Peer, s.Kind) || e.Schema != git.IdentitySchema {
			r.t.Errorf("step %+v on topic %s with schema %s", s, e.Topic, e.Schema)
		}
		all = append(all, fmt.Sprintf("%s %d %d/%d", s.Kind, s.Version, s.Signed, s.Threshold))
	}
	return all
}

// wantSteps demands that these and no other events come of signing, however long a slow machine defers them.
func (r *rig) wantSteps(want ...string) {
	r.t.Helper()
	eventually(r.t, "all events of signing", func() bool { return len(r.steps()) >= len(want) })
	if got := r.steps(); !slices.Equal(got, want) {
		r.t.Errorf("events\n%q, want\n%q", got, want)
	}
}

// soundStorage has git look at every object and ref, while none of its packs is replaced: git fsck does not expect that.
func (r *rig) soundStorage(urn project.URN) {
	r.t.Helper()
	defer r.keep(urn)()
	out, err := exec.Command("git", "--git-dir="+r.storage(urn), "fsck", "--strict", "--no-dangling").CombinedOutput()
	if err != nil || strings.Contains(string(out), "error") {
		r.t.Errorf("git fsck: %v\n%s", err, out)
	}
}

// TestDelegates walks a project through its life: it grows from one delegate to three of whom two decide, a key is rotated,
// a lost key is replaced by the others. What was pushed before and between stays verifiable, and the default branch follows.
func TestDelegates(t *testing.T) {
	r := newRig(t)
	ann := r.delegate()
	ben, eve := r.other("ben").delegate(), r.other("eve").delegate()
	urn := r.newProject()
	dir := r.newCopy(urn)
	first := ann.mustGit(dir, "rev-parse", "HEAD")
	ann.mustGit(dir, "push", "lnk", "main")

	// One old signature is enough for the old quorum, the new one takes a second.
	grown := must(ann.propose(urn, func(s *project.Spec) { s.Delegates, s.Threshold = idsOf(ann, ben, eve), 2 }))(t)
	if grown.Complete || !grown.Waits || grown.Version != 2 {
		t.Errorf("proposed: %+v", grown)
	}
	_, _, shown := ben.shown(urn)
	if p := shown.Pending; p.Version != 2 || p.Needed != 2 || p.Before != 1 || len(p.Signers) != 3 || !p.Signers[0].Signed || p.Since.IsZero() {
		t.Errorf("pending: %+v", p)
	}
	if done := ben.signs(urn); !done.Complete || done.Waits {
		t.Errorf("the second signature: %+v", done)
	}
	// Nobody but Ann has pushed: two do not agree yet, the branch stays. When Ben has what Ann has, they do.
	if branch, at := r.head(urn); branch != "main" || at != first {
		t.Errorf("%s is at %s", branch, at)
	}
	second := ann.commit(dir)
	ann.mustGit(dir, "push", "lnk", "main")
	if _, at := r.head(urn); at != first {
		t.Error("one of two delegates has moved the default branch")
	}
	if _, ok := ben.git(dir, "push", "lnk", "main"); !ok {
		t.Error("Ben cannot push")
	}
	if _, at := r.head(urn); at != second {
		t.Error("two delegates agree and the default branch does not follow")
	}

	// Ann has a new key, which is in another agent; Eve has lost hers, and the others put a new one in its place.
	ann2, eve2 := r.other("ann2").delegate(), r.other("eve2").delegate()
	third := ann2.commit(dir)
	ann2.mustGit(dir, "push", "lnk", "main")
	must(ann.propose(urn, func(s *project.Spec) { s.Delegates = idsOf(ann2, ben, eve) }))(t)
	if done := ben.signs(urn); done.Complete {
		t.Error("the new key has not signed")
	}
	if done := ann2.signs(urn); !done.Complete {
		t.Error("two old keys and two new keys are not enough")
	}
	if _, at := r.head(urn); at != second {
		t.Errorf("the branch is at %s: Ben and Ann agree on %s, Ann alone on %s", at, second, third)
	}
	eve.stop()
	must(ann2.propose(urn, func(s *project.Spec) { s.Delegates = idsOf(ann2, ben, eve2) }))(t)
	ben.signs(urn)

	// The last change gives the default branch another name, and one delegate alone the say.
	ann2.mustGit(dir, "push", "lnk", "main:trunk")
	must(eve2.propose(urn, func(s *project.Spec) { s.DefaultBranch, s.Threshold, s.Name = "trunk", 1, "renamed" }))(t)
	if done := ann2.signs(urn); !done.Complete || done.Version != 5 {
		t.Errorf("%+v", done)
	}
	if branch, at := r.head(urn); branch != "trunk" || at != third {
		t.Errorf("%s is at %s, want trunk at %s", branch, at, third)
	}
	refs := r.mustGit(r.storage(urn), "for-each-ref", "--format=%(refname)", "refs/heads")
	if head := r.mustGit(r.storage(urn), "symbolic-ref", "HEAD"); refs != "refs/heads/trunk" || head != refs {
		t.Errorf("branches %q, HEAD is %s", refs, head)
	}

	identity, pending, _ := ann2.shown(urn)
	if identity.Version != 5 || identity.Name != "renamed" || identity.URN != urn || pending != nil {
		t.Errorf("%+v", identity)
	}
	for _, who := range []delegate{ann, ben, ann2} {
		who.verified(urn)
	}
	r.soundStorage(urn)
	want := []string{
		"pending 2 1/2", "signed 2 2/2", "published 2 2/2", "pending 3 0/2", "signed 3 1/2", "signed 3 2/2", "published 3 2/2",
		"pending 4 1/2", "signed 4 2/2", "published 4 2/2", "pending 5 1/1", "signed 5 2/1", "published 5 2/1",
	}
	r.wantSteps(want...)
}

// TestIdentityRules: the rules of trust.Process hold for projects, and say so with their codes.
func TestIdentityRules(t *testing.T) {
	r := newRig(t)
	me, ben := r.delegate(), r.stranger(2)
	urn := r.newProject()
	two := func(s *project.Spec) { s.Delegates, s.Threshold = idsOf(me, ben), 2 }
	refused := func(what string, err error, code ipc.Code, words string) {
		t.Helper()
		if ipc.CodeOf(err) != code || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, code %v", what, err, ipc.CodeOf(err))
		}
	}
	ctx, name := t.Context(), string(urn)
	_, err := git.SignIdentity.Call(ctx, r.rpc, git.SignArgs{Project: name})
	refused("nothing waits", err, ipc.NotFound, "nothing waits")
	_, err = git.CancelIdentity.Call(ctx, r.rpc, git.CancelArgs{Project: name})
	refused("nothing to cancel", err, ipc.NotFound, "nothing waits")
	identity, _, _ := me.shown(urn)
	unsigned := must(identity.Next(identity.Spec()))(t).Bytes()
	_, err = git.ProposeIdentity.Call(ctx, r.rpc, git.ProposeArgs{Project: name, Document: unsigned})
	refused("unsigned", err, ipc.BadRequest, "nobody has signed")
	_, err = git.ProposeIdentity.Call(ctx, r.rpc, git.ProposeArgs{Project: name, Document: []byte("{}")})
	refused("nonsense", err, ipc.BadRequest, "identity document")
	_, err = git.ProposeIdentity.Call(ctx, r.rpc, git.ProposeArgs{Project: "rad:z2DRSFGyk8gNgHGL4v5W2pZCyxbT", Document: unsigned})
	refused("no project", err, ipc.NotFound, "not stored here")
	_, err = me.propose(urn, func(s *project.Spec) { s.Expires = time.Now().Add(-time.Hour) })
	refused("expired", err, ipc.BadRequest, "expiry has passed")

	proposed := must(me.propose(urn, two))(t)
	_, err = me.propose(urn, func(s *project.Spec) { two(s); s.Name = "other" })
	refused("a second proposal", err, ipc.Conflict, "being signed already")
	_, err = me.override(urn, "", two)
	refused("the same", err, ipc.AlreadyExists, "says the same")
	stale := ben.signature(urn)
	replaced := must(me.override(urn, proposed.Digest, func(s *project.Spec) { two(s); s.Name = "other" }))(t)
	if replaced.Digest == proposed.Digest || replaced.Complete {
		t.Errorf("replaced: %+v", replaced)
	}
	_, err = me.override(urn, proposed.Digest, two)
	refused("override of what is gone", err, ipc.Conflict, "replaced meanwhile")
	_, err = git.SignIdentity.Call(ctx, r.rpc, stale)
	refused("signature for what is gone", err, ipc.Conflict, "replaced meanwhile")
	stale.Match = ""
	_, err = git.SignIdentity.Call(ctx, r.rpc, stale)
	refused("signature over what is gone", err, ipc.BadRequest, "does not verify")
	_, err = git.SignIdentity.Call(ctx, r.rpc, r.stranger(3).signature(urn))
	refused("a stranger", err, ipc.PermissionDenied, "no root key")
	_, err = git.CancelIdentity.Call(ctx, r.rpc, git.CancelArgs{Project: name, Match: proposed.Digest})
	refused("cancel of what is gone", err, ipc.Conflict, "replaced meanwhile")
	must(git.CancelIdentity.Call(ctx, r.rpc, git.CancelArgs{Project: name, Match: replaced.Digest}))(t)
	if _, pending, _ := me.shown(urn); pending != nil {
		t.Error("cancelled, and still there")
	}
	if done := must(me.propose(urn, func(s *project.Spec) { s.Name = "alone" }))(t); !done.Complete {
		t.Error("the only delegate is not enough")
	}
	r.wantSteps("pending 2 1/2", "replaced 2 1/2", "cancelled 2 1/2", "pending 2 1/1", "published 2 1/1")
}

// TestSigners lets twenty delegates sign at once through two daemons while others override: every signature that was
// accepted is there at the end or was dropped by an override that came after it, and whoever lost was told so.
func TestSigners(t *testing.T) {
	const many = 20
	r := newRig(t)
	daemons := []*rig{r, r.other("ben")}
	me := r.delegate()
	everybody := []delegate{me}
	for i := range many {
		everybody = append(everybody, daemons[i%2].stranger(byte(i+1)))
	}
	urn := r.newProject()
	all := func(s *project.Spec) { s.Delegates, s.Threshold = idsOf(everybody...), len(everybody) }
	must(me.propose(urn, all))(t)

	var told, overrides atomic.Int32
	var wg sync.WaitGroup
	signers := make([]git.SignArgs, 0, many)
	for _, d := range everybody[1:] {
		signers = append(signers, d.signature(urn)) // all have seen the first proposal
	}
	for i, args := range signers {
		wg.Go(func() {
			_, err := git.SignIdentity.Call(t.Context(), daemons[i%2].rpc, args)
			if errors.Is(err, ipc.Conflict) {
				told.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 2 {
		document := me.draft(urn, func(s *project.Spec) { all(s); s.Description = fmt.Sprint("override ", i) })
		wg.Go(func() {
			_, err := git.OverrideIdentity.Call(t.Context(), daemons[i].rpc, git.OverrideArgs{Project: string(urn), Document: document, Match: signers[0].Match})
			if err == nil {
				overrides.Add(1)
			} else if !errors.Is(err, ipc.Conflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if overrides.Load() != 1 {
		t.Errorf("%d of two overrides of the same won", overrides.Load())
	}
	_, pending, _ := me.shown(urn)
	if n := len(pending.Signatures()); n != 1 {
		t.Errorf("%d signatures after the override", n)
	}
	eventually(t, fmt.Sprintf("every signature to be accepted, but for %d that were told that they came too late", told.Load()), func() bool {
		accepted := 0
		for _, step := range r.steps() {
			if strings.HasPrefix(step, "signed") {
				accepted++
			}
		}
		return accepted+int(told.Load()) == many
	})
	// Without an override nothing is lost: the last one completes.
	signers = signers[:0]
	for _, d := range everybody[1:] {
		signers = append(signers, d.signature(urn))
	}
	var completed atomic.Int32
	for i, args := range signers {
		wg.Go(func() {
			if must(git.SignIdentity.Call(t.Context(), daemons[i%2].rpc, args))(t).Complete {
				completed.Add(1)
			}
		})
	}
	wg.Wait()
	identity, pending, _ := me.shown(urn)
	if identity.Version != 2 || pending != nil || completed.Load() != 1 || len(identity.Newest().Signatures()) != many+1 {
		t.Errorf("version %d with %d signatures, completed %d times", identity.Version, len(identity.Newest().Signatures()), completed.Load())
	}
}

// TestPushAfterChange: a daemon that has pushed before, and whose delegate another daemon has removed since, does not go by
// what it knew.
func TestPushAfterChange(t *testing.T) {
	r := newRig(t)
	ann, ben := r.delegate(), r.other("ben").delegate()
	urn := r.newProject()
	dir := r.newCopy(urn)
	ann.mustGit(dir, "push", "lnk", "main")
	before := ann.mustGit(dir, "rev-parse", "HEAD")
	must(ben.propose2(urn, ann, func(s *project.Spec) { s.Delegates = idsOf(ben) }))(t)
	if done := ben.signs(urn); !done.Complete {
		t.Fatal("Ann has not handed over to Ben")
	}
	ann.commit(dir)
	ann.mustGit(dir, "push", "lnk", "main")
	if _, at := r.head(urn); at != before {
		t.Error("somebody who is no delegate any more has moved the default branch")
	}
	signed, _ := must2(project.Repository{URN: urn, Dir: r.storage(urn)}.SignedRefs(t.Context(), ann.peer))(t)
	if identity, _, _ := ann.shown(urn); signed.Identity != identity.Blob {
		t.Error("the push was signed under an old identity")
	}
	ann.verified(urn)
}

// propose2 hands in through d what somebody else has signed.
func (d delegate) propose2(urn project.URN, by delegate, change func(*project.Spec)) (git.IdentityResult, error) {
	return git.ProposeIdentity.Call(d.t.Context(), d.rpc, git.ProposeArgs{Project: string(urn), Document: by.draft(urn, change)})
}

func must2[A, B any](a A, b B, err error) func(testing.TB) (A, B) {
	return func(t testing.TB) (A, B) {
		t.Helper()
		check(t, err)
		return a, b
	}
}

// TestTornChange: the end of the machine in the middle of the last transaction leaves refs/rad/id moved and the record not.
// The next daemon completes it, and publishes it.
func TestTornChange(t *testing.T) {
	r := newRig(t)
	me := r.delegate()
	urn := r.newProject()
	dir := r.newCopy(urn)
	me.mustGit(dir, "push", "lnk", "main", "main:trunk")
	must(me.propose(urn, func(s *project.Spec) { s.DefaultBranch = "trunk" }))(t)
	storage := r.storage(urn)
	at := r.mustGit(storage, "rev-parse", "refs/heads/trunk")
	r.gitd.kill()
	r.mustGit(storage, "update-ref", "refs/heads/main", at)
	r.mustGit(storage, "update-ref", "-d", "refs/heads/trunk")
	r.mustGit(storage, "update-ref", project.SigningRef, project.SigningRef+"^")
	r.mustGit(storage, "symbolic-ref", "HEAD", "refs/heads/main")
	r.gitd.start()
	eventually(t, "the transaction to be completed", func() bool {
		branch, head := r.head(urn)
		return branch == "trunk" && head == at
	})
	if refs := r.mustGit(storage, "for-each-ref", "--format=%(refname)", "refs/heads"); refs != "refs/heads/trunk" {
		t.Errorf("branches %q", refs)
	}
	eventually(t, "its event", func() bool { return slices.Contains(r.steps(), "published 2 1/1") })
	if done := must(me.propose(urn, func(s *project.Spec) { s.Name = "on" }))(t); !done.Complete || done.Version != 3 {
		t.Errorf("what came next: %+v", done)
	}
	r.soundStorage(urn)
}

// TestDamagedDelegate: what is damaged of one delegate does not keep the others from changing the identity.
func TestDamagedDelegate(t *testing.T) {
	r := newRig(t)
	me, ben := r.delegate(), r.stranger(2)
	urn := r.newProject()
	dir := r.newCopy(urn)
	me.mustGit(dir, "push", "lnk", "main")
	at := me.mustGit(dir, "rev-parse", "HEAD")
	both := func(s *project.Spec) { s.Delegates, s.Threshold = idsOf(me, ben), 1 }
	must(me.propose(urn, both))(t)
	r.mustGit(r.storage(urn), "update-ref", project.SignedRefsRef(ben.id()), at)
	if done := must(me.propose(urn, func(s *project.Spec) { s.Name = "renamed" }))(t); !done.Complete {
		t.Errorf("%+v", done)
	}
	if done := must(me.propose(urn, func(s *project.Spec) { s.Delegates = idsOf(me) }))(t); !done.Complete {
		t.Errorf("%+v", done)
	}
	if branch, head := r.head(urn); branch != "main" || head != at {
		t.Errorf("%s is at %s", branch, head)
	}
}

// TestStepsDeferred: without a bus steps are taken all the same, and their events leave when it is back.
func TestStepsDeferred(t *testing.T) {
	r := newRig(t)
	urn := r.newProject()
	r.bus.kill()
	must(r.delegate().propose(urn, func(s *project.Spec) { s.Name = "quiet" }))(t)
	r.gitd.kill() // also what it has in mind is lost
	r.gitd.start()
	r.bus.start()
	eventually(t, "the events", func() bool {
		return slices.Equal(r.steps(), []string{"pending 2 1/1", "published 2 1/1"})
	})
}
