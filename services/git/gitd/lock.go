package gitd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
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

const (
	lockPause = 2 * time.Millisecond
	lockLimit = 30 * time.Second
)

// lock waits for the lock; as a rule nobody else has it.
func (l *fileLock) lock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	for {
		err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another push to this project does not end: %w", ctx.Err())
		case <-time.After(lockPause):
		}
	}
}

// unlock gives the lock up for every process that inherited the file.
func (l *fileLock) unlock() {
	_ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN) // fails only for a bad descriptor
}

func (l *fileLock) close() { l.file.Close() }
