package gitd

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/project"
)

// An updater that takes its time to leave holds up nobody who wants to change refs.
func TestRelaxedUpdaterHoldsUpNobody(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("git", "init", "--bare", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := &repository{
		disk: project.Repository{Dir: dir}, engine: &engine{git: "git", searchPath: os.Getenv("PATH")},
		lockAt: filepath.Join(dir, "lock"), turn: make(chan struct{}, 1),
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	inTurn := func(f func()) {
		release, err := r.acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		f()
	}
	var process *os.Process
	inTurn(func() {
		if err := r.ready(); err != nil {
			t.Fatal(err)
		}
		process = r.updater.cmd.Process
	})
	_ = process.Signal(syscall.SIGSTOP)
	left := make(chan struct{})
	var relaxing sync.WaitGroup
	defer relaxing.Wait()
	defer process.Signal(syscall.SIGCONT)
	defer close(left)
	relaxing.Go(func() {
		for {
			select {
			case <-left:
				return
			default:
				r.relax()
			}
		}
	})
	for gone := false; !gone; time.Sleep(time.Millisecond) {
		inTurn(func() { gone = r.updater == nil })
	}
}
