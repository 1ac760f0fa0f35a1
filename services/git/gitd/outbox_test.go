package gitd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// eventually polls what happens in other processes.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// history returns the commits of the working copy, oldest first, as the events that their pushes, one by one, should be.
func (r *rig) history(dir string) []event {
	r.t.Helper()
	var want []event
	old := none
	for _, oid := range strings.Fields(r.mustGit(dir, "rev-list", "--reverse", "main")) {
		want = append(want, event{"refs/heads/main", old, oid})
		old = oid
	}
	return want
}

func TestPushWhileTheBusIsDown(t *testing.T) {
	r, dir, url := pushed(t)
	r.bus.kill()
	check(t, os.Remove(r.bus.socket))
	for range 3 {
		r.commit(dir)
		out := r.mustGit(dir, "push", "lnk", "main")
		if !strings.Contains(out, "events are deferred") {
			t.Errorf("push says %q", out)
		}
	}
	r.verified(projectOf(url))
	report := must(ipc.Health.Call(t.Context(), r.rpc, ipc.Empty{}))(t)
	if report.Healthy || !strings.Contains(report.Reason, "no socket at "+r.bus.socket) || !strings.Contains(report.Hint, "lnk up") {
		t.Errorf("health says %+v", report)
	}
	r.bus.listener.Close()
	r.bus.listen()
	r.bus.start()
	want := r.history(dir)
	eventually(t, "deferred events", func() bool { return len(r.events()) >= len(want) })
	if got := r.events(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestPushWhileTheBusHangs(t *testing.T) {
	r, dir, _ := pushed(t)
	r.bus.cmd.Process.Signal(syscall.SIGSTOP)
	r.commit(dir)
	start := time.Now()
	if out := r.mustGit(dir, "push", "lnk", "main"); !strings.Contains(out, "events are deferred") {
		t.Errorf("push says %q", out)
	}
	if took := time.Since(start); took > 20*time.Second { // the client of the bus gives up after 30
		t.Errorf("push took %s", took)
	}
	r.bus.cmd.Process.Signal(syscall.SIGCONT)
	want := r.history(dir)
	eventually(t, "deferred events", func() bool { return len(r.events()) >= len(want) })
	if got := r.events(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// A daemon that ends before its events are out leaves them to the next one, which needs no push to publish them.
func TestNextDaemonPublishes(t *testing.T) {
	r, dir, _ := pushed(t)
	r.bus.kill()
	r.commit(dir)
	// Nobody accepts on the bus's socket, so the push waits for its limit.
	if out := r.mustGit(dir, "push", "lnk", "main"); !strings.Contains(out, "events are deferred") {
		t.Errorf("push says %q", out)
	}
	r.gitd.kill()
	r.bus.start()
	r.gitd.start()
	want := r.history(dir)
	eventually(t, "deferred events", func() bool { return len(r.events()) >= len(want) })
	if got := r.events(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestRace(t *testing.T) {
	r, dir, url := pushed(t)
	base := r.mustGit(dir, "rev-parse", "HEAD")
	const rivals = 6
	copies := make([]string, rivals)
	for i := range copies {
		copies[i] = t.TempDir()
		r.mustGit(copies[i], "clone", "-q", url, ".")
		r.mustGit(copies[i], "commit", "-q", "--allow-empty", "-m", fmt.Sprint("rival ", i))
	}
	won := make([]bool, rivals)
	said := make([]string, rivals)
	var wg sync.WaitGroup
	for i, c := range copies {
		wg.Go(func() { said[i], won[i] = r.git(c, "push", "origin", "main", fmt.Sprintf("HEAD:refs/heads/mine%d", i)) })
	}
	wg.Wait()
	winners := 0
	for i := range won {
		if won[i] {
			winners++
		} else if !strings.Contains(said[i], "rejected") {
			t.Errorf("rival %d was told %q", i, said[i])
		}
	}
	if winners != 1 {
		t.Errorf("%d pushes won: %q", winners, said)
	}
	refs := r.verified(projectOf(url))
	checkChains(t, r.events(), refs)
	if refs["refs/heads/main"] == base {
		t.Error("main has not moved")
	}
}

// checkChains demands that the events of every ref chain from nothing to where the ref is, and speak of no other ref.
func checkChains(t testing.TB, events []event, refs map[string]string) {
	t.Helper()
	at := map[string]string{}
	for _, e := range events {
		if before, ok := at[e.ref]; ok && before != e.old || !ok && e.old != none {
			t.Errorf("event %v, but the ref was at %q", e, before)
		}
		at[e.ref] = e.new
	}
	for ref, oid := range at {
		if oid != none && refs[ref] != oid {
			t.Errorf("the last event of %s says %s, it is at %q", ref, oid, refs[ref])
		}
	}
	for ref, oid := range refs {
		if at[ref] != oid {
			t.Errorf("%s is at %s, its last event says %q", ref, oid, at[ref])
		}
	}
}

// Concurrent pushes of different refs all land, and the chain of signed refs stays one.
func TestConcurrentPushes(t *testing.T) {
	r, dir, url := pushed(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if out, ok := r.git(dir, "push", url, fmt.Sprintf("HEAD:refs/heads/b%d", i)); !ok {
				t.Errorf("push %d: %s", i, out)
			}
		})
	}
	wg.Wait()
	refs := r.verified(projectOf(url))
	if len(refs) != 9 {
		t.Errorf("refs: %v", refs)
	}
	checkChains(t, r.events(), refs)
}

// A machine that went down in the middle of a transaction leaves signed refs that the refs have not followed. The next
// daemon finishes that, and needs no key.
func TestTornTransactionIsFinished(t *testing.T) {
	r, dir, url := pushed(t)
	before := r.mustGit(dir, "rev-parse", "HEAD")
	r.commit(dir)
	r.mustGit(dir, "push", "-q", "lnk", "main", "HEAD:refs/heads/new")
	r.gitd.kill()
	storage, prefix := r.storage(projectOf(url)), "refs/namespaces/"+string(r.peer)+"/refs/heads/"
	r.mustGit(storage, "update-ref", prefix+"main", before)
	r.mustGit(storage, "update-ref", "-d", prefix+"new")
	check(t, os.WriteFile(filepath.Join(storage, prefix, "main.lock"), nil, 0o644))
	old := time.Now().Add(-time.Minute)
	check(t, os.Chtimes(filepath.Join(storage, prefix, "main.lock"), old, old))
	r.stop()
	r.gitd.start()
	eventually(t, "refs as signed", func() bool {
		main, ok := r.git(storage, "rev-parse", prefix+"new")
		return ok && !strings.HasPrefix(main, before)
	})
	r.verified(projectOf(url))
	checkChains(t, r.events(), r.remoteRefs(url))
}

// A machine that went down soon after a push leaves empty files of refs, which git cannot repair. The next daemon does,
// before the first push, and without a key.
func TestEmptyRefsAreHealed(t *testing.T) {
	r, dir, url := pushed(t)
	r.mustGit(dir, "push", "-q", "lnk", "HEAD:refs/heads/older")
	r.mustGit(dir, "push", "-q", "lnk", "HEAD:refs/heads/newest")
	before := r.verified(projectOf(url))
	r.gitd.kill()
	storage, prefix := r.storage(projectOf(url)), "refs/namespaces/"+string(r.peer)+"/refs/heads/"
	for _, ref := range []string{prefix + "main", prefix + "older", prefix + "newest", prefix + "unsigned", "refs/heads/main"} {
		check(t, os.WriteFile(filepath.Join(storage, ref), nil, 0o644))
	}
	r.gitd.start()
	if after := r.verified(projectOf(url)); !maps.Equal(after, before) {
		t.Errorf("signed refs: %v, want %v", after, before)
	}
	head := r.commit(dir)
	r.mustGit(dir, "push", "-q", "lnk", "main")
	refs := r.verified(projectOf(url))
	checkChains(t, r.events(), refs)
	if canonical := r.mustGit(storage, "rev-parse", "refs/heads/main"); refs["refs/heads/main"] != head || canonical != head {
		t.Errorf("refs: %v, the project's branch is at %s, want %s", refs, canonical, head)
	}
}

// A git receive-pack that was killed leaves what had come of its push; one that still waits for more is left alone.
func TestDeadQuarantinesAreRemoved(t *testing.T) {
	r, _, url := pushed(t)
	r.gitd.kill()
	dead, alive := r.quarantine(url, "dead", 25*time.Hour), r.quarantine(url, "alive", 23*time.Hour)
	r.gitd.start()
	eventually(t, "the dead quarantine's end", func() bool {
		_, err := os.Stat(dead)
		return os.IsNotExist(err)
	})
	if _, err := os.Stat(alive); err != nil {
		t.Error(err)
	}
}

// quarantine makes what receive-pack has while a pack comes in, written to last some time ago.
func (r *rig) quarantine(url, name string, age time.Duration) string {
	r.t.Helper()
	dir := filepath.Join(r.storage(projectOf(url)), "objects", "tmp_objdir-incoming-"+name)
	pack := filepath.Join(dir, "pack", "tmp_pack_"+name)
	check(r.t, os.MkdirAll(filepath.Dir(pack), 0o700))
	check(r.t, os.WriteFile(pack, []byte("PACK"), 0o600))
	for _, path := range []string{dir, filepath.Dir(pack)} {
		check(r.t, os.Chtimes(path, time.Time{}, time.Now().Add(-48*time.Hour)))
	}
	check(r.t, os.Chtimes(pack, time.Time{}, time.Now().Add(-age)))
	return dir
}

// What somebody changed behind gitd's back is signed with the next push, and becomes an event.
func TestForeignUpdateIsSignedWithTheNextPush(t *testing.T) {
	r, dir, url := pushed(t)
	first := r.mustGit(dir, "rev-parse", "HEAD")
	storage, prefix := r.storage(projectOf(url)), "refs/namespaces/"+string(r.peer)+"/refs/heads/"
	r.commit(dir)
	r.mustGit(dir, "push", "-q", "lnk", "HEAD:refs/heads/side")
	r.mustGit(storage, "update-ref", prefix+"behind", first)
	r.mustGit(storage, "update-ref", prefix+"side", first)
	r.mustGit(dir, "fetch", "-q", "lnk")
	head := r.commit(dir)
	r.mustGit(dir, "push", "-q", "lnk", "HEAD:refs/heads/side") // at first, not where gitd believes
	refs := r.verified(projectOf(url))
	if refs["refs/heads/behind"] != first || refs["refs/heads/side"] != head {
		t.Errorf("refs: %v", refs)
	}
	checkChains(t, r.events(), refs)
}

func TestConflictOfFileAndFolder(t *testing.T) {
	r, dir, url := pushed(t)
	r.commit(dir)
	out, ok := r.git(dir, "push", "lnk", "HEAD:refs/heads/main/below", "HEAD:refs/heads/fine")
	if ok || !strings.Contains(out, "'refs/heads/main' exists") {
		t.Errorf("push: %v %s", ok, out)
	}
	if refs := r.verified(projectOf(url)); len(refs) != 2 || refs["refs/heads/fine"] == "" {
		t.Errorf("refs: %v", refs)
	}
}

func TestEverySignatureIsAudited(t *testing.T) {
	r, dir, url := pushed(t)
	for range 2 {
		r.commit(dir)
		r.mustGit(dir, "push", "-q", "lnk", "main")
	}
	data := must(os.ReadFile(r.dirs.AuditLog()))(t)
	lines := 0
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); lines++ {
		if !strings.Contains(scanner.Text(), "push to "+r.urn(url)) {
			t.Errorf("audit line %s", scanner.Text())
		}
	}
	if lines != 3 {
		t.Errorf("%d lines for 3 pushes", lines)
	}
}

// A daemon that is told to leave lets a push end, and its socket takes the next one.
func TestLeavingDuringAPush(t *testing.T) {
	r, dir, url := pushed(t)
	for range 5 {
		r.commit(dir)
		done := make(chan string, 1)
		go func() {
			out, _ := r.git(dir, "push", "lnk", "main")
			done <- out
		}()
		r.gitd.end(syscall.SIGTERM)
		r.gitd.start()
		if out := <-done; strings.Contains(out, "error") {
			t.Errorf("push: %s", out)
		}
	}
	refs := r.verified(projectOf(url))
	checkChains(t, r.events(), refs)
}
