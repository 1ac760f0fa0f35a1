package profile

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// Whoever waits for a lock, which is held for some writes to disk, looks again after a time that doubles between these.
// Waiting in the kernel would not end with ctx.
const (
	firstPoll = 250 * time.Microsecond
	slowPoll  = 16 * time.Millisecond
)

// Lock waits until nobody else, in this process or another, has f locked, which may be a folder. Closing f ends the lock. The
// error is ctx's if that ends first.
func Lock(ctx context.Context, f *os.File) error {
	timer := time.NewTimer(firstPoll)
	defer timer.Stop()
	for wait := firstPoll; ; wait = min(2*wait, slowPoll) {
		if taken, err := TryLock(f); taken || err != nil {
			return err
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TryLock is Lock for whoever does not wait: taken is false if somebody else has f locked.
func TryLock(f *os.File) (taken bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	return err == nil, err
}
