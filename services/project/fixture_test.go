package project

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

var day = time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)

// testSigner is a key in memory.
type testSigner struct{ keys.Signer }

func signer(seed byte) testSigner { return testSigner{keystest.Signer(seed)} }

func (s testSigner) id() peer.ID {
	id, err := peer.FromPublicKey(s.PublicKey())
	if err != nil {
		panic(err)
	}
	return id
}

func ids(signers ...testSigner) (ids []peer.ID) {
	for _, s := range signers {
		ids = append(ids, s.id())
	}
	return ids
}

// draft returns what follows i, signed by everybody one after the other.
func draft(t testing.TB, i Identity, spec Spec, signers ...testSigner) *trust.Root {
	t.Helper()
	root, err := i.Next(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range signers {
		if root, err = trust.SignRoot(t.Context(), s, root, i.Newest()); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// advance is draft, and the identity that comes of it.
func advance(t testing.TB, i Identity, spec Spec, signers ...testSigner) Identity {
	t.Helper()
	p, err := i.Signing(draft(t, i, spec, signers...).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	next, err := i.Advance(p, day.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func newTestIdentity(t testing.TB, threshold int, signers ...testSigner) Identity {
	t.Helper()
	spec := Spec{Name: "demo", Description: "a <test>\nof \"lnk\"", Delegates: ids(signers...), Threshold: threshold, Expires: day.Add(Lifetime)}
	return advance(t, Identity{}, spec, signers...)
}

// fixture is a repository and what is needed to push to it.
type fixture struct {
	testing.TB
	Repository
	identity Identity
}

func newFixture(t testing.TB, threshold int, signers ...testSigner) fixture {
	t.Helper()
	id := newTestIdentity(t, threshold, signers...)
	r, err := Store{Dir: filepath.Join(t.TempDir(), "storage")}.Create(t.Context(), id, day)
	if err != nil {
		t.Fatal(err)
	}
	return fixture{t, r, id}
}

// git runs a git command on the repository and returns its output without the last newline.
func (f fixture) git(args ...string) string {
	f.Helper()
	out, err := git(f.Context(), f.Dir, args...)
	if err != nil {
		f.Fatalf("%v: %v\n%s", args, err, out)
	}
	return strings.TrimSuffix(out, "\n")
}

// commit makes a commit without files.
func (f fixture) commit(message string, parents ...OID) OID {
	f.Helper()
	objects := looseObjects{f.objects()}
	tree, err := objects.write(kindTree, nil)
	if err != nil {
		f.Fatal(err)
	}
	oid, err := objects.write(kindCommit, commit{tree: tree, parents: parents, author: "test", at: day, message: message}.encode())
	if err != nil {
		f.Fatal(err)
	}
	return oid
}

// push does what a push does: signed refs over all refs, and all of them moved.
func (f fixture) push(s testSigner, refs map[string]OID) OID {
	f.Helper()
	last, tip, err := f.Repository.SignedRefs(f.Context(), s.id())
	if err != nil {
		last.SignedRefs = SignedRefs{URN: f.URN, Peer: s.id()}
	}
	tip = f.write(s, last.Next(tip, refs, f.identity.Blob))
	f.move(s, tip, last.Refs, refs)
	return tip
}

// setIdentity moves refs/rad/id on.
func (f fixture) setIdentity(id Identity) {
	f.Helper()
	tip, err := f.Ref(f.Context(), IdentityRef)
	if err != nil {
		f.Fatal(err)
	}
	next, err := f.WriteIdentity(f.Context(), id, tip, day)
	if err != nil {
		f.Fatal(err)
	}
	f.git("update-ref", IdentityRef, next.String(), tip.String())
}

// write signs and stores, and moves nothing.
func (f fixture) write(s testSigner, refs SignedRefs) OID {
	f.Helper()
	signed, err := refs.Sign(f.Context(), s)
	if err != nil {
		f.Fatal(err)
	}
	oid, err := f.WriteSignedRefs(f.Context(), signed, day)
	if err != nil {
		f.Fatal(err)
	}
	return oid
}

func (f fixture) move(s testSigner, tip OID, old, refs map[string]OID) {
	f.Helper()
	lines := fmt.Sprintf("update %s %s\n", SignedRefsRef(s.id()), tip)
	for _, c := range Diff(old, refs) {
		lines += fmt.Sprintf("update %s%s %s\n", Namespace(s.id()), c.Ref, c.New)
	}
	cmd := gitCommand(f.Context(), f.Dir, "update-ref", "--stdin")
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Fatalf("update-ref: %v: %s", err, out)
	}
}

// fsck has git look at everything.
func (f fixture) fsck() {
	f.Helper()
	cmd := gitCommand(f.Context(), f.Dir, "fsck", "--strict", "--full", "--no-dangling")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "warning") || strings.Contains(string(out), "error") {
		f.Errorf("git fsck: %v\n%s", err, out)
	}
}

func (f fixture) verify(s testSigner) Report {
	f.Helper()
	report, err := f.Verify(f.Context(), s.id())
	if err != nil {
		f.Fatal(err)
	}
	return report
}

func mustWrite(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
