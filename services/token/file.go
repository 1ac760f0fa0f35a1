package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// file is a token's file, locked until it is closed.
type file struct {
	*os.File
	record record
}

// openFile waits for its turn and reads the file. It is fs.ErrNotExist also if the token was revoked meanwhile.
func openFile(ctx context.Context, path string) (f *file, err error) {
	handle, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = handle.Close()
		}
	}()
	if err := lock(ctx, handle); err != nil {
		return nil, err
	}
	ours, err := handle.Stat()
	if err != nil {
		return nil, err
	}
	if there, err := os.Lstat(path); err != nil || !os.SameFile(ours, there) {
		return nil, fs.ErrNotExist
	}
	data, err := io.ReadAll(io.LimitReader(handle, maxFile+2))
	if err != nil {
		return nil, err
	}
	r, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read the token in %s: %w", path, err)
	}
	return &file{handle, r}, nil
}

// spend takes one use, for good: when it returns without error no crash gives it back.
func (f *file) spend() error {
	if f.record.Uses == 0 {
		return nil
	}
	if _, err := f.Write([]byte{'.'}); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	f.record.spent++
	return nil
}

// Whoever waits for a lock, which is held for some writes to disk, looks again after a time that doubles between these.
// Waiting in the kernel would not end with ctx.
const (
	firstPoll = 250 * time.Microsecond
	slowPoll  = 16 * time.Millisecond
)

// lock waits until nobody else, in this process or another, has f locked.
func lock(ctx context.Context, f *os.File) error {
	timer := time.NewTimer(firstPoll)
	defer timer.Stop()
	for wait := firstPoll; ; wait = min(2*wait, slowPoll) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
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
