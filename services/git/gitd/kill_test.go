package gitd_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

const (
	killRounds = 120
	// killWindow is a little longer than a push takes, so that kills meet every part of it and what follows.
	killWindow = 60 * time.Millisecond
)

// TestKill kills gitd, the bus or both with SIGKILL at random moments of pushes and demands that refs, signed refs and
// events agree at the end: no event is lost, none is doubled for a subscriber that goes by ids, none is invented.
// LNK_TEST_SEED repeats a run.
func TestKill(t *testing.T) {
	random := seeded(t)
	r, dir, url := pushed(t)
	landed, failed := 0, 0
	for round := range killRounds {
		r.commit(dir)
		refs := []string{"push", "lnk", "+main", fmt.Sprintf("main:refs/heads/round%d", round)}
		if round > 2 && random.IntN(3) == 0 {
			refs = append(refs, fmt.Sprintf(":refs/heads/round%d", random.IntN(round)))
		}
		done := make(chan bool, 1)
		go func() {
			_, ok := r.git(dir, refs...)
			done <- ok
		}()
		time.Sleep(time.Duration(random.Int64N(int64(killWindow)))) // the moment is the test
		r.killSome(random.IntN(3))
		if <-done {
			landed++
		} else {
			failed++
		}
	}
	t.Logf("%d pushes landed, %d were cut off", landed, failed)
	// One more push makes the project whole, whatever the last kill left.
	eventually(t, "a push after all that", func() bool {
		_, ok := r.git(dir, "push", "lnk", "+main", "main:refs/heads/last")
		return ok
	})
	refs := r.verified(projectOf(url))
	eventually(t, "the last event", func() bool {
		return slices.ContainsFunc(r.events(), func(e event) bool { return e.ref == "refs/heads/last" })
	})
	checkChains(t, r.events(), refs)
}

// seeded returns a source of random moments, and says how to have the same ones again.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("LNK_TEST_SEED"); s != "" {
		seed = must(strconv.ParseUint(s, 10, 64))(t)
	}
	t.Logf("LNK_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// killSome kills and restarts gitd (0), the bus (1), or both.
func (r *rig) killSome(which int) {
	if which != 1 {
		r.gitd.kill()
	}
	if which != 0 {
		r.bus.kill()
		r.bus.start()
	}
	if which != 1 {
		r.gitd.start()
	}
}
