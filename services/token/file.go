package token

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/lnk-suite/lnk/services/profile"
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
	if err := profile.Lock(ctx, handle); err != nil {
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
