package gitd_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/services/project"
)

// tidied waits until everything that the project has by now is packed.
func (r *rig) tidied(urn project.URN) {
	r.t.Helper()
	next := time.Now()
	eventually(r.t, "housekeeping", func() bool {
		if time.Now().After(next) { // what was held up, or killed, is tried again after a transfer
			r.mustGit(r.home, "ls-remote", "lnk://"+string(urn))
			next = time.Now().Add(2 * time.Second)
		}
		return r.files(urn, "objects/??/*") == 0 && r.files(urn, "objects/pack/*.pack") == 1 &&
			r.files(urn, "refs/namespaces/*/refs/heads/*") == 0
	})
	r.keep(urn)()
}

// has reports whether the project's storage has an object, whoever refers to it.
func (r *rig) has(urn project.URN, oid string) bool {
	_, ok := r.git(r.storage(urn), "cat-file", "-e", oid)
	return ok
}

// files counts what a pattern matches in the project's storage.
func (r *rig) files(urn project.URN, pattern string) int {
	r.t.Helper()
	return len(must(filepath.Glob(filepath.Join(r.storage(urn), pattern)))(r.t))
}

// However often somebody pushes, there are only so many files.
func TestFilesStayFew(t *testing.T) {
	r, dir, url := pushed(t)
	urn := projectOf(url)
	r.become("thrifty")
	head := ""
	for n := range 60 {
		head = r.commit(dir)
		r.mustGit(dir, "push", "-q", "lnk", "main", fmt.Sprintf("main:refs/heads/b%d", n))
	}
	few := func() bool {
		r.mustGit(dir, "ls-remote", "lnk") // a fetch does, too
		return r.files(urn, "objects/17/*") <= 1 && r.files(urn, "objects/pack/*.pack") <= 4 &&
			r.files(urn, "refs/namespaces/*/refs/heads/*") <= 20 && r.files(urn, "packed-refs") == 1
	}
	eventually(t, "housekeeping", few)
	r.soundStorage(urn)
	refs := r.verified(urn)
	if len(refs) != 61 || refs["refs/heads/main"] != head {
		t.Errorf("%d refs, main is at %s, want %s", len(refs), refs["refs/heads/main"], head)
	}
	checkChains(t, r.events(), refs)
	again := t.TempDir()
	r.mustGit(again, "clone", "-q", url, ".")
	if got := r.mustGit(again, "rev-parse", "HEAD"); got != head {
		t.Errorf("a clone is at %s, want %s", got, head)
	}
	r.gitd.kill()
	if log := r.gitd.log.String(); !strings.Contains(log, "housekeeping") || strings.Contains(log, "failed") {
		t.Errorf("log:\n%s", log)
	}
}

// A pack that has lost its index may hold what is nowhere else.
func TestPackWithoutIndex(t *testing.T) {
	r, dir, url := pushed(t)
	urn := projectOf(url)
	r.become("tidy")
	r.tidied(urn)
	all := r.objects(urn)
	index := must(filepath.Glob(filepath.Join(r.storage(urn), "objects/pack/*.idx")))(t)[0]
	r.gitd.kill()
	check(t, os.Remove(index))
	if len(r.objects(urn)) != 0 {
		t.Fatal("there is another copy")
	}
	r.outdate(urn, 48*time.Hour, "pack-*")
	r.gitd.start()
	eventually(t, "the objects", func() bool {
		r.git(dir, "fetch", "lnk") // fails until then
		return maps.Equal(r.objects(urn), all)
	})
	r.soundStorage(urn)
}

// What nothing refers to is packed, too, and stays, however old it is. So does a pack that is to be kept.
func TestNothingIsDropped(t *testing.T) {
	r, dir, url := pushed(t)
	urn := projectOf(url)
	r.mustGit(dir, "commit", "-q", "--allow-empty", "-m", "abandoned")
	abandoned := r.mustGit(dir, "rev-parse", "HEAD")
	r.mustGit(dir, "push", "-q", "lnk", "main:refs/heads/gone")
	r.mustGit(dir, "push", "-q", "lnk", ":refs/heads/gone")
	r.outdate(urn, 1000*24*time.Hour, "??????????????????????????????????????")
	all := r.objects(urn)
	r.become("tidy")
	r.tidied(urn)
	pack := must(filepath.Glob(filepath.Join(r.storage(urn), "objects/pack/*.pack")))(t)[0]
	keep := strings.TrimSuffix(pack, "pack") + "keep"
	check(t, os.WriteFile(keep, nil, 0o600))
	r.commit(dir)
	r.mustGit(dir, "push", "-q", "lnk", "main:refs/heads/next")
	eventually(t, "a pack beside the one that is kept", func() bool {
		r.mustGit(dir, "ls-remote", "lnk")
		return r.files(urn, "objects/??/*") == 0 && r.files(urn, "objects/pack/*.pack") == 2
	})
	if _, err := os.Stat(pack); err != nil {
		t.Error(err)
	}
	check(t, os.Remove(keep))
	r.tidied(urn)
	if !r.has(urn, abandoned) {
		t.Error("the object to which nothing refers is gone")
	}
	after := r.objects(urn)
	for oid := range all {
		if !after[oid] {
			t.Errorf("%s is gone", oid)
		}
	}
}

// objects returns all that the project's storage has.
func (r *rig) objects(urn project.URN) map[string]bool {
	r.t.Helper()
	defer r.keep(urn)()
	oids := map[string]bool{}
	for oid := range strings.FieldsSeq(r.mustGit(r.storage(urn), "cat-file", "--batch-all-objects", "--batch-check=%(objectname)")) {
		oids[oid] = true
	}
	return oids
}

// TestPushesRaceWithHousekeeping has two peers push, force, delete, bring back what was deleted, and fetch, while both of
// their daemons pack as often as they can.
func TestPushesRaceWithHousekeeping(t *testing.T) {
	r, dir, url := pushed(t)
	urn := projectOf(url)
	o := r.other("ben")
	r.become("tidy")
	o.become("tidy")
	eventually(t, "ben's first push", func() bool { _, ok := o.git(dir, "push", "-q", url, "main"); return ok })
	for range 4 {
		var wg sync.WaitGroup
		for _, who := range []*rig{r, o} {
			for worker := range 2 {
				wg.Go(func() { who.struggle(url, worker, 6) })
			}
		}
		wg.Wait()
		r.tidied(urn)
	}
	r.soundStorage(urn)
	checkChains(t, r.events(), r.verified(urn))
	checkChains(t, o.events(), o.verified(urn))
}

// struggle does what users do, in a copy and with branches of its own.
func (r *rig) struggle(url string, worker, rounds int) {
	dir := r.t.TempDir()
	mustGit := func(args ...string) {
		if out, ok := r.git(dir, args...); !ok {
			r.t.Errorf("git %v: %s", args, out)
		}
	}
	mustGit("clone", "-q", url, ".")
	mine := fmt.Sprint("refs/heads/worker", worker)
	mustGit("commit", "-q", "--allow-empty", "-m", fmt.Sprint(r.name, worker, time.Now()))
	mustGit("branch", "-f", "lost")
	for round := range rounds {
		mustGit("commit", "-q", "--allow-empty", "-m", fmt.Sprint(round))
		mustGit("push", "-q", "-f", "origin", "HEAD:"+mine, fmt.Sprintf("lost:%s-lost", mine))
		mustGit("push", "-q", "origin", fmt.Sprintf(":%s-lost", mine))
		mustGit("fetch", "-q")
		mustGit("push", "-q", "-f", "origin", "lost:"+mine, fmt.Sprintf("HEAD:%s-%d", mine, round))
	}
}

// TestKillDuringHousekeeping kills gitd, or the git that does its housekeeping, with SIGKILL at random moments.
// LNK_TEST_SEED repeats a run.
func TestKillDuringHousekeeping(t *testing.T) {
	random := seeded(t)
	r, dir, url := pushed(t)
	urn := projectOf(url)
	r.become("tidy")
	killed := 0
	for round := range 60 {
		r.commit(dir)
		r.git(dir, "push", "lnk", "+main", fmt.Sprintf("main:refs/heads/round%d", round))
		if round%2 == 1 {
			r.git(dir, "push", "lnk", fmt.Sprintf(":refs/heads/round%d", round-1))
		}
		time.Sleep(time.Duration(random.Int64N(int64(killWindow)))) // the moment is the test
		if random.IntN(2) == 0 {
			killed += len(r.keepers(urn, syscall.SIGKILL))
		} else {
			r.gitd.kill()
			r.gitd.start()
		}
	}
	t.Logf("%d git processes were killed at it", killed)
	r.outdateLocks(urn)
	eventually(t, "a push after all that", func() bool {
		_, ok := r.git(dir, "push", "lnk", "+main", "main:refs/heads/last")
		return ok
	})
	r.mustGit(dir, "push", "lnk", ":refs/heads/round58", ":refs/heads/last")
	r.soundStorage(urn)
	eventually(t, "the last event", r.allPublished)
	checkChains(t, r.events(), r.verified(urn))
	r.gitd.kill()
	eventually(t, "the end of what kills have left running", func() bool { return len(r.keepers(urn, 0)) == 0 })
	r.outdate(urn, 48*time.Hour, "tmp_*", "pack-*")
	r.gitd.start()
	eventually(t, "the end of what kills have left unfinished", func() bool { return r.files(urn, "objects/pack/*tmp*") == 0 })
	r.tidied(urn)
	release := r.keep(urn)
	if packs, indexes := r.files(urn, "objects/pack/*.pack"), r.files(urn, "objects/pack/*.idx"); packs != indexes {
		t.Errorf("%d packs, %d indexes", packs, indexes)
	}
	release()
	r.soundStorage(urn)
	r.verified(urn)
}

// keepers sends a signal to the git processes that do housekeeping in a project's storage, and returns their ids.
func (r *rig) keepers(urn project.URN, signal syscall.Signal) (pids []int) {
	r.t.Helper()
	out, _ := exec.Command("ps", "-e", "-o", "pid=,args=").Output()
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[2] != "--git-dir="+r.storage(urn) {
			continue
		}
		if what := fields[3]; what == "pack-refs" || what == "pack-objects" || what == "prune-packed" {
			pid := must(strconv.Atoi(fields[0]))(r.t)
			_ = syscall.Kill(pid, signal)
			pids = append(pids, pid)
		}
	}
	return pids
}

// outdate dates back what matches patterns in a project's storage.
func (r *rig) outdate(urn project.URN, age time.Duration, patterns ...string) {
	r.t.Helper()
	old := time.Now().Add(-age)
	check(r.t, filepath.WalkDir(r.storage(urn), func(path string, _ fs.DirEntry, err error) error {
		for _, pattern := range patterns {
			if matches, _ := filepath.Match(pattern, filepath.Base(path)); matches && err == nil {
				err = os.Chtimes(path, old, old)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}))
}

// outdateLocks makes the locks of git in a project older than what a living git would leave.
func (r *rig) outdateLocks(urn project.URN) { r.outdate(urn, time.Minute, "*.lock", "packed-refs.new") }

// A daemon that is told to leave takes its git with it, which leaves nothing behind.
func TestLeavingDuringHousekeeping(t *testing.T) {
	r, dir, url := pushed(t)
	urn := projectOf(url)
	data := make([]byte, 30<<20) // takes git a second to compress
	_, _ = rand.Read(data)
	check(t, os.WriteFile(filepath.Join(dir, "large"), data, 0o644))
	r.mustGit(dir, "add", "large")
	head := r.commit(dir)
	r.mustGit(dir, "push", "-q", "lnk", "main")
	r.become("tidy")
	eventually(t, "a pack in the making", func() bool { return r.files(urn, "objects/pack/tmp_pack_*") > 0 })
	r.gitd.end(syscall.SIGTERM)
	if left := r.keepers(urn, 0); len(left) > 0 || r.files(urn, "objects/pack/tmp_*") > 0 || r.files(urn, "*.lock") > 0 {
		t.Errorf("processes %v, %d temporary files, %d locks", left, r.files(urn, "objects/pack/tmp_*"), r.files(urn, "*.lock"))
	}
	r.soundStorage(urn)
	r.gitd.start()
	if refs := r.verified(urn); refs["refs/heads/main"] != head {
		t.Errorf("refs: %v", refs)
	}
	r.tidied(urn)
	r.soundStorage(urn)
}

// What a git that was killed has left beside packed-refs would keep every ref there for ever; so would nothing else.
func TestLocksThatNobodyHolds(t *testing.T) {
	r, dir, url := pushed(t)
	urn := projectOf(url)
	storage := r.storage(urn)
	r.mustGit(dir, "push", "-q", "lnk", "main:refs/heads/a", "main:refs/heads/b", "main:refs/heads/c")
	r.mustGit(storage, "pack-refs", "--all")
	leave := func(names ...string) {
		for _, name := range names {
			check(t, os.WriteFile(filepath.Join(storage, name), nil, 0o644))
		}
	}
	leave("packed-refs.lock", "packed-refs.new")
	if out, ok := r.git(dir, "push", "lnk", ":refs/heads/a"); ok || !strings.Contains(out, "cannot update packed-refs: File exists") {
		t.Errorf("a push beside a living git: %s", out)
	}
	r.outdateLocks(urn)
	r.mustGit(dir, "push", "-q", "lnk", ":refs/heads/a")
	leave("packed-refs.new")
	r.outdateLocks(urn)
	r.mustGit(dir, "push", "-q", "lnk", ":refs/heads/b")

	leave("packed-refs.lock", "packed-refs.new", "gc.pid", "gc.pid.lock", "objects/maintenance.lock")
	r.outdateLocks(urn)
	r.become("tidy")
	r.tidied(urn)
	r.soundStorage(urn)
	if refs := r.verified(urn); len(refs) != 2 {
		t.Errorf("refs: %v", refs)
	}
}

// keep waits until nobody keeps house, and then nobody does until release.
func (r *rig) keep(urn project.URN) (release func()) {
	r.t.Helper()
	lock := must(os.OpenFile(filepath.Join(r.storage(urn), "lnk-housekeeping"), os.O_RDWR|os.O_CREATE, 0o600))(r.t)
	eventually(r.t, "the end of housekeeping", func() bool { return unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil })
	return func() { lock.Close() }
}

// While another daemon is at work there is nothing to do.
func TestOneDaemonKeepsHouse(t *testing.T) {
	r, dir, url := pushed(t)
	urn := projectOf(url)
	r.become("tidy")
	r.tidied(urn)
	release := r.keep(urn)
	packs := r.files(urn, "objects/pack/*.pack")
	for range 3 {
		r.commit(dir)
		r.mustGit(dir, "push", "-q", "lnk", "main")
	}
	if n := r.files(urn, "objects/pack/*.pack"); n != packs {
		t.Errorf("%d packs, there were %d", n, packs)
	}
	release()
	r.tidied(urn)
	r.soundStorage(urn)
}
