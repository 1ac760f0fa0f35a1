package gitd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/services/profile"
)

// fileLock is a flock(2) on a file of its own open. It keeps two processes from writing one peer's refs of a project at
// once: an instance that leaves while it finishes a push and the next one, or what a killed instance left running.
type fileLock struct{ file *os.File }

func openLock(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock: %w", err)
	}
	return &fileLock{f}, nil
}

// lockLimit is how long somebody waits for the lock.
const lockLimit = 30 * time.Second

// lock waits for the lock; as a rule nobody else has it.
func (l *fileLock) lock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	err := profile.Lock(ctx, l.file)
	if err != nil && ctx.Err() != nil {
		return errOccupied(ctx)
	}
	return err
}

func errOccupied(ctx context.Context) error {
	return fmt.Errorf("another change of this project does not end: %w", ctx.Err())
}

// unlock gives the lock up for every process that inherited the file.
func (l *fileLock) unlock() {
	_ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN) // fails only for a bad descriptor
}

func (l *fileLock) close() { l.file.Close() }

// updaterRest is how long an updater waits for another push.
const updaterRest = 10 * time.Second

// acquire waits until the caller is the only one who changes our refs, in this process and others.
func (r *repository) acquire(ctx context.Context) (release func(), err error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, errOccupied(ctx)
	}
	if r.lock == nil {
		r.lock, err = openLock(r.lockAt)
	}
	if err == nil {
		err = r.lock.lock(ctx)
	}
	if err != nil {
		<-r.turn
		return nil, err
	}
	return r.release, nil
}

func (r *repository) release() {
	r.lock.unlock()
	if r.updater == nil {
		r.lock.close()
		r.lock = nil
	} else if r.rest == nil {
		r.rest = time.AfterFunc(updaterRest, r.relax)
	} else {
		r.rest.Reset(updaterRest)
	}
	<-r.turn
}

// relax ends an updater that nobody has needed for a while. Whoever comes meanwhile does not wait for that.
func (r *repository) relax() {
	select {
	case r.turn <- struct{}{}:
		u := r.dismiss()
		<-r.turn
		u.end()
	default: // in use again
	}
}

// close ends what the repository keeps running; ctx bounds the wait for a push that is still there.
func (r *repository) close(ctx context.Context) {
	select {
	case r.turn <- struct{}{}:
		r.dismiss().end() // and the turn is kept: nothing begins any more
	case <-ctx.Done():
	}
}

// dismiss parts with the updater, nil for none, which is to be ended.
func (r *repository) dismiss() *updater {
	u := r.updater
	if u != nil {
		r.lock.close()
		r.updater, r.lock = nil, nil
	}
	return u
}

// ready starts an updater if there is none. The turn must be held, as for what follows.
func (r *repository) ready() (err error) {
	if r.updater == nil {
		r.updater, err = r.engine.startUpdater(r.disk.Dir, r.lock.file)
	}
	return err
}

// commitDurably makes all updates or none, and waits until the disk has them. It takes a few milliseconds more than commit.
func (r *repository) commitDurably(updates []update) error {
	u, err := r.engine.startUpdater(r.disk.Dir, r.lock.file, setting{"core.fsync", "reference"})
	if err != nil {
		return err
	}
	if err := u.commit(updates); err != nil {
		return err
	}
	u.end()
	for _, u := range updates {
		if err := profile.SyncDir(filepath.Dir(filepath.Join(r.disk.Dir, filepath.FromSlash(u.ref)))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// commit makes all updates or none.
func (r *repository) commit(updates []update) error {
	if err := r.ready(); err != nil {
		return err
	}
	err := r.updater.commit(updates)
	if err != nil {
		r.updater = nil
	}
	return err
}
