package gitd

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/project"
)

// housekeeper keeps repositories small and quick, so that nobody has to think of git gc: a while after a transfer it packs
// refs into one file, and loose objects and small packs into one pack, if there are enough of them. It removes only what the
// new pack holds, too: objects that nothing refers to any more stay. So pushes and fetches, also those of other daemons, may
// come at any time, and wait for nothing; whatever is killed at any moment, all objects are in a pack or a file. Git's own
// gc, maintenance and repack are not what runs here. All three remove folders that have no objects any more, and a push that
// is about to fill one fails. Moreover gc drops what a push that comes meanwhile may need, and maintenance is held up for
// ever by a lock that outlasts a kill. So git pack-objects, which does the work below them all, does it here.
type housekeeper struct {
	engine   *engine
	log      *slog.Logger
	activity *activate.Activity
	pace     pace
	ctx      context.Context // ends when the daemon does
	done     sync.WaitGroup
	turn     chan struct{} // held (by a value in it) by who is at work: one repository at a time

	mu     sync.Mutex
	chores map[project.URN]*chore
}

// chore is what is known of the housekeeping of one project.
type chore struct {
	waiting bool      // for the project to be quiet, or at work
	used    time.Time // when a transfer of this daemon ended last
	next    time.Time // not before
}

// pace says how much is enough to do, and when.
type pace struct {
	loose       int           // at most so many objects in each of the 256 folders
	packs, refs int           // at most so many small packs, and files of refs
	quiet       time.Duration // since a transfer
	patience    time.Duration // wait for that so long: a project that is never quiet is packed all the same
	rest, retry time.Duration // after it was done, after it failed
}

// usualPace has the thresholds of git gc --auto (6,700 loose objects, 50 packs); refs are a guess at how many files are too many.
var usualPace = pace{
	loose: 27, packs: 50, refs: 1000,
	quiet: 10 * time.Second, patience: 10 * time.Minute, rest: 10 * time.Minute, retry: time.Hour,
}

// consider, after a transfer, sees to it that a project is packed once it is quiet, if there is enough to do. Until then it
// keeps the daemon from leaving. It takes a few milliseconds at most.
func (h *housekeeper) consider(repo *repository) {
	if h.ctx.Err() != nil || !h.begin(repo.disk.URN, time.Now()) {
		return
	}
	wanted, err := h.wanted(repo)
	if err != nil {
		h.log.Warn("cannot look whether there is housekeeping to do", "project", repo.disk.URN, "err", err)
	}
	if !wanted {
		h.end(repo.disk.URN, time.Time{})
		return
	}
	h.activity.Add(1)
	h.done.Go(func() {
		defer h.activity.Add(-1)
		h.end(repo.disk.URN, time.Now().Add(h.attend(repo)))
	})
}

func (h *housekeeper) begin(urn project.URN, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.chores[urn] == nil {
		h.chores[urn] = &chore{}
	}
	c := h.chores[urn]
	c.used = now
	if c.waiting || now.Before(c.next) {
		return false
	}
	c.waiting = true
	return true
}

func (h *housekeeper) end(urn project.URN, next time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.chores[urn].waiting, h.chores[urn].next = false, next
}

func (h *housekeeper) used(urn project.URN) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chores[urn].used
}

// attend waits until the project is quiet and it is its turn, works, and returns for how long it may be left alone.
func (h *housekeeper) attend(repo *repository) time.Duration {
	deadline := time.Now().Add(h.pace.patience)
	for time.Since(h.used(repo.disk.URN)) < h.pace.quiet && time.Now().Before(deadline) {
		select {
		case <-h.ctx.Done():
			return 0
		case <-time.After(h.pace.quiet):
		}
	}
	select {
	case <-h.ctx.Done():
		return 0
	case h.turn <- struct{}{}:
	}
	defer func() { <-h.turn }()
	return h.work(repo)
}

// work packs, unless another daemon is at it.
func (h *housekeeper) work(repo *repository) time.Duration {
	start := time.Now()
	keeping, err := repo.keep()
	if keeping == nil && err == nil {
		return h.pace.rest
	}
	if err == nil {
		err = (&packing{h.engine, repo, keeping, start}).run(h.ctx)
		keeping.close()
	}
	facts := []any{"project", repo.disk.URN, "took", time.Since(start)}
	switch {
	case h.ctx.Err() != nil:
		return 0 // told to leave: the next daemon goes on
	case err != nil:
		h.log.Warn("housekeeping failed", append(facts, "err", err)...)
		return h.pace.retry
	}
	h.log.Info("housekeeping", facts...)
	return h.pace.rest
}

// wanted looks at a few folders, as git does: the names of objects are spread evenly, so that one folder tells of all 256.
func (h *housekeeper) wanted(repo *repository) (bool, error) {
	packs, _, err := repo.packs()
	if err != nil {
		return false, err
	}
	loose, err := os.ReadDir(filepath.Join(repo.disk.Dir, "objects", "17"))
	if ignoreMissing(err) != nil {
		return false, err
	}
	refs, err := repo.looseRefs(h.pace.refs + 1)
	return len(packs) > h.pace.packs || len(loose) > h.pace.loose || refs > h.pace.refs, err
}

// looseRefs counts refs that have files of their own, up to a limit.
func (r *repository) looseRefs(limit int) (n int, err error) {
	err = filepath.WalkDir(filepath.Join(r.disk.Dir, "refs"), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && entry.Name() != "HEAD" { // that of a namespace is none
			n++
		}
		if n >= limit {
			return fs.SkipAll
		}
		return ignoreMissing(err)
	})
	return n, err
}

// keeperFile in a repository is locked with flock(2) by who packs it, of all daemons on the storage, and by its git.
const keeperFile = "lnk-housekeeping"

// keep locks out the housekeeping of others, nil if somebody is at work.
func (r *repository) keep() (*fileLock, error) {
	lock, err := openLock(filepath.Join(r.disk.Dir, keeperFile))
	if err != nil {
		return nil, err
	}
	if taken, err := profile.TryLock(lock.file); !taken || err != nil {
		lock.close()
		return nil, err
	}
	return lock, nil
}
