package project

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

func TestCreate(t *testing.T) {
	f := newFixture(t, 2, signer(1), signer(2), signer(3))
	f.fsck()
	if got := f.git("rev-parse", IdentityRef+":1.root.json"); got != f.URN.ID().String() {
		t.Errorf("blob %s, the URN says %s", got, f.URN.ID())
	}
	if got := f.git("symbolic-ref", "HEAD"); got != "refs/heads/main" {
		t.Errorf("HEAD is %s", got)
	}
	if got := f.git("log", "--format=%an %ad %s", "--date=iso-strict", IdentityRef); got != string(f.URN)+" 2026-10-05T12:00:00+00:00 identity version 1" {
		t.Errorf("log: %s", got)
	}
	store := Store{Dir: filepath.Dir(f.Dir)}
	r, err := store.Open(t.Context(), f.URN)
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.Identity(t.Context())
	if err != nil || id.URN != f.URN || id.Name != "demo" || id.Threshold != 2 || !slices.Equal(id.Delegates, f.identity.Delegates) || id.Blob != f.URN.ID() {
		t.Errorf("%+v, %v", id, err)
	}
	if _, err := store.Create(t.Context(), f.identity, day); !errors.Is(err, ipc.AlreadyExists) {
		t.Errorf("a second time: %v", err)
	}
	if info, err := os.Stat(store.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("storage has mode %v, %v", info.Mode(), err)
	}
}

func TestList(t *testing.T) {
	store := Store{Dir: filepath.Join(t.TempDir(), "storage")}
	if urns, err := store.List(); err != nil || urns != nil {
		t.Errorf("no storage: %v, %v", urns, err)
	}
	var want []URN
	for _, s := range []testSigner{signer(1), signer(2)} {
		id := newTestIdentity(t, 1, s)
		if _, err := store.Create(t.Context(), id, day); err != nil {
			t.Fatal(err)
		}
		want = append(want, id.URN)
	}
	slices.Sort(want)
	for _, stray := range []string{".new-1/config", "notes/x", "z0.git/config", "rad:z1.git/x", want[0].RID() + "/x"} {
		mustWrite(t, filepath.Join(store.Dir, stray), "")
	}
	mustWrite(t, filepath.Join(store.Dir, NewURN(OID{9}).RID()+".git"), "a file")
	if urns, err := store.List(); err != nil || !slices.Equal(urns, want) {
		t.Errorf("got %v, %v; want %v", urns, err, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	urn := NewURN(OID{1})
	if _, err := store.Open(t.Context(), urn); !errors.Is(err, ipc.NotFound) || ipc.HintOf(err) == "" {
		t.Errorf("not there: %v", err)
	}
	cmd := exec.Command("git", "init", "--quiet", "--bare", "--object-format=sha256", store.Path(urn))
	cmd.Env = gitEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := store.Open(t.Context(), urn); !errors.Is(err, ipc.Unsupported) || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("SHA-256: %v", err)
	}
	mustWrite(t, filepath.Join(store.Path(urn), "config"), "[core]\n\trepositoryformatversion = 1\n[extensions]\n\trefStorage = reftable\n")
	if _, err := store.Open(t.Context(), urn); !errors.Is(err, ipc.Unsupported) || !strings.Contains(err.Error(), "reftable") {
		t.Errorf("reftable: %v", err)
	}
}

func TestIdentityOfAnotherProject(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	other := Repository{URN: NewURN(OID{7}), Dir: f.Dir}
	if _, err := other.Identity(t.Context()); !errors.Is(err, ipc.Corrupt) || !strings.Contains(err.Error(), "another project") {
		t.Errorf("got %v", err)
	}
	f.git("update-ref", "-d", IdentityRef)
	if _, err := f.Identity(t.Context()); !errors.Is(err, ipc.Corrupt) {
		t.Errorf("without %s: %v", IdentityRef, err)
	}
}

func TestRef(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	c := f.commit("one")
	f.git("update-ref", "refs/heads/main", c.String())
	for range 2 {
		if got, err := f.Ref(t.Context(), "refs/heads/main"); err != nil || got != c {
			t.Errorf("%s, %v", got, err)
		}
		f.git("pack-refs", "--all")
	}
	for _, name := range []string{"refs/heads/none", "refs/heads", "refs/heads/mai", "refs/heads/main/x", "refs/ads/main"} {
		if got, err := f.Ref(t.Context(), name); err != nil || !got.IsZero() {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"HEAD", "../x", "refs/../config", "", "refs/heads/../../config"} {
		if _, err := f.Ref(t.Context(), name); !errors.Is(err, ipc.BadRequest) {
			t.Errorf("%q: %v", name, err)
		}
	}
	f.git("symbolic-ref", "refs/heads/link", "refs/heads/main")
	if _, err := f.Ref(t.Context(), "refs/heads/link"); !errors.Is(err, ipc.Corrupt) {
		t.Errorf("a symbolic ref: %v", err)
	}
	mustWrite(t, filepath.Join(f.Dir, "packed-refs"), "dust refs/heads/damaged\n")
	if _, err := f.Ref(t.Context(), "refs/heads/damaged"); !errors.Is(err, ipc.Corrupt) {
		t.Errorf("a damaged packed ref: %v", err)
	}
}

// A ref is found, at what it has or had a moment ago, while git packs it and others move it.
func TestRefWhileItIsPacked(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	known := map[OID]bool{}
	var commits []OID
	for n := range 40 {
		c := f.commit(fmt.Sprint(n))
		commits, known[c] = append(commits, c), true
	}
	f.git("update-ref", "refs/heads/main", commits[0].String())
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for reading := true; reading; {
			select {
			case <-done:
				reading = false
			default:
			}
			if got, err := f.Ref(t.Context(), "refs/heads/main"); err != nil || !known[got] {
				t.Errorf("%s, %v", got, err)
				return
			}
		}
	}()
	for _, c := range commits {
		f.git("update-ref", "refs/heads/main", c.String())
		f.git("pack-refs", "--all")
	}
	close(done)
	<-stopped
}

func TestSetNamespaceHead(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	c := f.commit("one")
	f.push(signer(1), map[string]OID{"refs/heads/main": c, "refs/heads/dev/x": c})
	for _, branch := range []string{"main", "main", "dev/x"} {
		if err := f.SetNamespaceHead(signer(1).id(), branch); err != nil {
			t.Fatal(err)
		}
		if got := f.git("symbolic-ref", Namespace(signer(1).id())+"HEAD"); got != Namespace(signer(1).id())+"refs/heads/"+branch {
			t.Errorf("HEAD is %s", got)
		}
	}
	if err := f.SetNamespaceHead(signer(1).id(), "../../x"); err == nil {
		t.Error("a branch outside")
	}
	f.fsck()
	if refs, err := f.Refs(t.Context(), signer(1).id()); err != nil || len(refs) != 2 {
		t.Errorf("%v, %v", refs, err)
	}
}

// createStages are paths that appear in an unfinished repository one after the other.
var createStages = []string{"", "HEAD", "config", "objects", "objects/??", "objects/??/*", "refs/rad", "refs/rad/id"}

// TestCreateKilled kills a process in the middle of creating a repository, at each stage. Whatever the storage lists
// afterwards is whole, and what lies around is swept away once it is old.
func TestCreateKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "storage")
	for _, stage := range createStages {
		cmd := exec.Command(os.Args[0], "-test.run=TestHelperCreates")
		cmd.Env = append(os.Environ(), "CREATE_IN="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitForAny(t, filepath.Join(dir, unfinishedPrefix+"*", stage))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	store := Store{Dir: dir}
	urns, err := store.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, urn := range urns {
		r, err := store.Open(t.Context(), urn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Identity(t.Context()); err != nil {
			t.Error(err)
		}
		fixture{TB: t, Repository: r}.fsck()
	}
	store.sweep(time.Now().Add(2 * unfinishedAge))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(urns) {
		t.Errorf("%d entries for %d projects, %v", len(entries), len(urns), err)
	}
}

func waitForAny(t *testing.T, pattern string) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if found, err := filepath.Glob(pattern); err != nil || len(found) > 0 {
			return
		}
	}
	t.Fatalf("%s did not appear", pattern)
}

// TestHelperCreates is the process that TestCreateKilled kills.
func TestHelperCreates(t *testing.T) {
	dir := os.Getenv("CREATE_IN")
	if dir == "" {
		return
	}
	for {
		id := advance(t, Identity{}, Spec{Name: fmt.Sprint(time.Now().UnixNano()), Delegates: ids(signer(1)), Expires: day}, signer(1))
		if _, err := (Store{Dir: dir}).Create(t.Context(), id, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}
