package gitd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/project"
)

// The tests of this file are promises about stock git.

// pushed is a rig with a project and a working copy whose main is pushed.
func pushed(t testing.TB) (r *rig, dir, url string) {
	t.Helper()
	r = newRig(t)
	urn := r.newProject()
	dir = r.newCopy(urn)
	r.mustGit(dir, "push", "-q", "lnk", "main")
	return r, dir, "lnk://" + string(urn)
}

func (r *rig) urn(url string) string { return strings.TrimPrefix(url, "lnk://") }

// remoteRefs returns what the daemon serves, by ref.
func (r *rig) remoteRefs(url string) map[string]string {
	r.t.Helper()
	refs := map[string]string{}
	for line := range strings.Lines(r.mustGit(r.home, "ls-remote", url)) {
		oid, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		refs[name] = oid
	}
	delete(refs, "HEAD")
	delete(refs, "refs/rad/sigrefs")
	return refs
}

func TestProtocolVersion2(t *testing.T) {
	r, dir, _ := pushed(t)
	out, ok := r.gitWith(dir, []string{"GIT_TRACE_PACKET=1"}, "ls-remote", "lnk")
	if !ok || !strings.Contains(out, "< version 2") || !strings.Contains(out, "command=ls-refs") {
		t.Errorf("git did not speak version 2:\n%s", out)
	}
}

func TestPushOfNothingNew(t *testing.T) {
	r, dir, _ := pushed(t)
	r.stop() // nothing is signed, so no agent is needed
	if out, ok := r.git(dir, "push", "lnk", "main"); !ok || !strings.Contains(out, "up-to-date") {
		t.Errorf("push: %v %s", ok, out)
	}
	if got := r.events(); len(got) != 1 {
		t.Errorf("events: %v", got)
	}
}

func TestAtomicPush(t *testing.T) {
	r, dir, url := pushed(t)
	before := r.remoteRefs(url)
	r.commit(dir)
	tree := r.mustGit(dir, "rev-parse", "HEAD^{tree}")
	out, ok := r.git(dir, "push", "--atomic", "lnk", "main", tree+":refs/heads/tree")
	if ok || !strings.Contains(out, "a branch must be a commit, this is a tree") || !strings.Contains(out, "atomic push failed") {
		t.Errorf("push: %v %s", ok, out)
	}
	if after := r.remoteRefs(url); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("refs moved: %v", after)
	}
	r.mustGit(dir, "push", "--atomic", "lnk", "main", "HEAD:refs/heads/other")
	if got := r.verified(projectOf(url)); len(got) != 2 {
		t.Errorf("refs: %v", got)
	}
}

func TestPartOfPushRefused(t *testing.T) {
	r, dir, url := pushed(t)
	head := r.commit(dir)
	out, ok := r.git(dir, "push", "lnk", "main", "HEAD:refs/rad/x")
	if ok || !strings.Contains(out, "refs/rad/ belongs to lnk") {
		t.Errorf("push: %v %s", ok, out)
	}
	if refs := r.verified(projectOf(url)); len(refs) != 1 || refs["refs/heads/main"] != head {
		t.Errorf("refs: %v", refs)
	}
}

func TestDeleteBranch(t *testing.T) {
	r, dir, url := pushed(t)
	head := r.mustGit(dir, "rev-parse", "HEAD")
	r.mustGit(dir, "push", "-q", "lnk", "main:refs/heads/gone")
	r.mustGit(dir, "push", "-q", "lnk", ":gone")
	want := []event{{"refs/heads/main", none, head}, {"refs/heads/gone", none, head}, {"refs/heads/gone", head, none}}
	if got := r.events(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	if refs := r.verified(projectOf(url)); len(refs) != 1 {
		t.Errorf("refs: %v", refs)
	}
	if out, ok := r.git(dir, "push", "lnk", ":main"); ok || !strings.Contains(out, "default branch") {
		t.Errorf("deleting the default branch: %v %s", ok, out)
	}
}

func TestForcedPush(t *testing.T) {
	r, dir, url := pushed(t)
	first := r.mustGit(dir, "rev-parse", "HEAD")
	r.mustGit(dir, "commit", "-q", "--allow-empty", "--amend", "-m", "another")
	second := r.mustGit(dir, "rev-parse", "HEAD")
	if out, ok := r.git(dir, "push", "lnk", "main"); ok {
		t.Errorf("not refused: %s", out)
	}
	r.mustGit(dir, "push", "-q", "--force", "lnk", "main")
	if got := r.events(); got[len(got)-1] != (event{"refs/heads/main", first, second}) {
		t.Errorf("events: %v", got)
	}
	storage := r.storage(projectOf(url))
	r.mustGit(storage, "config", "receive.denyNonFastForwards", "true")
	r.mustGit(storage, "config", "receive.denyDeletes", "true")
	r.mustGit(dir, "commit", "-q", "--allow-empty", "--amend", "-m", "a third")
	if out, ok := r.git(dir, "push", "--force", "lnk", "main"); ok || !strings.Contains(out, "receive.denyNonFastForwards") {
		t.Errorf("push against the policy: %v %s", ok, out)
	}
	r.mustGit(dir, "push", "-q", "lnk", "main:refs/heads/side")
	if out, ok := r.git(dir, "push", "lnk", ":side"); ok || !strings.Contains(out, "receive.denyDeletes") {
		t.Errorf("delete against the policy: %v %s", ok, out)
	}
}

func TestPushOptions(t *testing.T) {
	r, dir, _ := pushed(t)
	r.commit(dir)
	r.mustGit(dir, "push", "-q", "-o", "one", "-o", "two words", "lnk", "main")
}

func TestShallowAndPartialClones(t *testing.T) {
	r, dir, url := pushed(t)
	check(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644))
	r.mustGit(dir, "add", "file")
	r.commit(dir)
	r.mustGit(dir, "push", "-q", "lnk", "main")

	shallow := t.TempDir()
	r.mustGit(shallow, "clone", "-q", "--depth=1", url, ".")
	if n := r.mustGit(shallow, "rev-list", "--count", "HEAD"); n != "1" {
		t.Errorf("the shallow clone has %s commits", n)
	}
	r.commit(shallow)
	r.mustGit(shallow, "push", "-q", "origin", "main") // its base is there, so this needs no more history
	r.mustGit(shallow, "fetch", "-q", "--unshallow")
	if n := r.mustGit(shallow, "rev-list", "--count", "HEAD"); n != "3" {
		t.Errorf("the complete clone has %s commits", n)
	}

	partial := t.TempDir()
	r.mustGit(partial, "clone", "-q", "--filter=blob:none", "--no-checkout", url, ".")
	missing := r.mustGit(partial, "rev-list", "--objects", "--missing=print", "HEAD")
	if !strings.Contains(missing, "?") {
		t.Errorf("nothing is missing in the partial clone: %s", missing)
	}
	r.mustGit(partial, "checkout", "-q", "main")
	if data, _ := os.ReadFile(filepath.Join(partial, "file")); string(data) != "content" {
		t.Errorf("file has %q", data)
	}
	r.verified(projectOf(url))
}

func TestTagsAndNotes(t *testing.T) {
	r, dir, url := pushed(t)
	r.mustGit(dir, "tag", "-a", "v1.0", "-m", "a tag")
	r.mustGit(dir, "notes", "add", "-m", "a note")
	r.mustGit(dir, "push", "-q", "lnk", "v1.0", "refs/notes/*:refs/notes/*")
	refs := r.verified(projectOf(url))
	if refs["refs/tags/v1.0"] != r.mustGit(dir, "rev-parse", "v1.0") || refs["refs/notes/commits"] != r.mustGit(dir, "rev-parse", "refs/notes/commits") {
		t.Errorf("refs: %v", refs)
	}
	if got := r.events(); len(got) != 3 {
		t.Errorf("events: %v", got)
	}
}

func TestThousandRefsAtOnce(t *testing.T) {
	r, dir, url := pushed(t)
	head := r.mustGit(dir, "rev-parse", "HEAD")
	var script strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&script, "create refs/tags/t%03d %s\n", n, head)
	}
	cmd := r.gitCommand(dir, nil, "update-ref", "--stdin")
	cmd.Stdin = strings.NewReader(script.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.mustGit(dir, "push", "-q", "lnk", "refs/tags/*:refs/tags/*")
	if refs := r.verified(projectOf(url)); len(refs) != 1001 {
		t.Errorf("%d refs", len(refs))
	}
	if got := r.events(); len(got) != 1001 || got[1] != (event{"refs/tags/t000", none, head}) || got[1000].ref != "refs/tags/t999" {
		t.Errorf("%d events", len(got))
	}
	r.mustGit(dir, append([]string{"push", "-q", "--delete", "lnk"}, strings.Fields(r.mustGit(dir, "tag"))...)...)
	if refs := r.verified(projectOf(url)); len(refs) != 1 {
		t.Errorf("%d refs after deletion", len(refs))
	}
}

func TestMirrorPush(t *testing.T) {
	r, dir, url := pushed(t)
	r.mustGit(dir, "push", "-q", "lnk", "main:refs/heads/gone")
	r.mustGit(dir, "tag", "v1")
	r.mustGit(dir, "update-ref", "-d", "refs/remotes/lnk/main")
	r.mustGit(dir, "update-ref", "-d", "refs/remotes/lnk/gone")
	r.mustGit(dir, "push", "-q", "--mirror", "lnk")
	if refs := r.verified(projectOf(url)); len(refs) != 2 || refs["refs/tags/v1"] == "" {
		t.Errorf("refs: %v", refs)
	}
}

func TestReadingNeedsNoAgent(t *testing.T) {
	r, dir, url := pushed(t)
	r.stop()
	into := t.TempDir()
	r.mustGit(into, "clone", "-q", url, ".")
	r.mustGit(into, "fetch", "-q")
	r.mustGit(dir, "fetch", "-q", "lnk")
	r.verified(projectOf(url))
}

func TestCloneOfEmptyProject(t *testing.T) {
	r := newRig(t)
	url := "lnk://" + string(r.newProject())
	into := t.TempDir()
	r.mustGit(into, "clone", "-q", url, ".")
	head := r.commit(into)
	r.mustGit(into, "push", "-q", "origin", "main")
	if refs := r.verified(projectOf(url)); refs["refs/heads/main"] != head {
		t.Errorf("refs: %v", refs)
	}
}

// The project's own default branch follows its only delegate, and others read it without naming a peer.
func TestDefaultBranchOfTheProject(t *testing.T) {
	r, dir, url := pushed(t)
	head := r.commit(dir)
	r.mustGit(dir, "push", "-q", "lnk", "main")
	if got := r.mustGit(r.storage(projectOf(url)), "rev-parse", "refs/heads/main"); got != head {
		t.Errorf("refs/heads/main is at %s, want %s", got, head)
	}
	if refs := r.remoteRefs(url + "/" + string(r.peer)); refs["refs/heads/main"] != head {
		t.Errorf("the peer's refs: %v", refs)
	}
}

// TestMoreRefsThanAMessageHolds lists 70,000 refs, as only a process that need not push them one by one can make them.
func TestMoreRefsThanAMessageHolds(t *testing.T) {
	r, dir, url := pushed(t)
	ctx, urn := t.Context(), projectOf(url)
	repo := must(project.Store{Dir: r.dirs.Storage()}.Open(ctx, urn))(t)
	before, tip, err := repo.SignedRefs(ctx, r.peer)
	check(t, err)
	refs, head := map[string]project.OID{}, must(project.ParseOID(r.mustGit(dir, "rev-parse", "HEAD")))(t)
	for n := range 70_000 {
		refs[fmt.Sprintf("refs/tags/a-name-that-is-neither-short-nor-long/%05d", n)] = head
	}
	next := must(before.Next(tip, refs, before.Identity).Sign(ctx, r.agent.Signer(r.peer)))(t)
	tip = must(repo.WriteSignedRefs(ctx, next, time.Now()))(t)
	r.mustGit(repo.Dir, "--git-dir=.", "update-ref", project.SignedRefsRef(r.peer), tip.String())

	got := must(git.SignedRefs(ctx, r.rpc, git.RefsArgs{Project: string(urn)}))(t)
	if len(got.Refs) != len(refs) || got.Commit != tip || got.Seq != next.Seq {
		t.Errorf("%d refs of set %d in %s", len(got.Refs), got.Seq, got.Commit)
	}
	for i, ref := range got.Refs {
		if ref.OID != refs[ref.Name] || i > 0 && ref.Name <= got.Refs[i-1].Name {
			t.Fatalf("ref %d is %v", i, ref)
		}
	}
}
