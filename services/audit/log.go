// Package audit keeps append-only logs: a JSON object per line, in a file that any number of processes append to at once.
// What a log is about, and when a line is due, is up to its owner (services/keys, services/token).
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/lnk-suite/lnk/services/profile"
)

// Log is an append-only file of records of type R, which must fit a line of less than 64 KiB of JSON.
type Log[R any] struct {
	// Path is the file; its folder is made if it is missing.
	Path string
	// MaxSize is the size in bytes beyond which the file is set aside as Path.1, older ones as Path.2 and so on up to
	// nine. 0 means 8 MiB, about 30,000 lines.
	MaxSize int64
}

const (
	defaultSize = 8 << 20
	keptLogs    = 9
)

// Append stores records: when it returns without error their lines survive a crash. It stores none if one is too long.
func (l *Log[R]) Append(records ...R) error {
	if len(records) == 0 {
		return nil
	}
	line, err := joinLines(records)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o700); err != nil {
		return err
	}
	f, isNew, err := l.open(int64(len(line) + 1))
	if err != nil {
		return err
	}
	if err := errors.Join(appendLine(f, line), f.Close()); err != nil || !isNew {
		return err
	}
	return profile.SyncDir(filepath.Dir(l.Path))
}

// joinLines returns the lines without the last newline.
func joinLines[R any](records []R) ([]byte, error) {
	lines := make([][]byte, 0, len(records))
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		if len(line) >= maxLine {
			return nil, fmt.Errorf("a line of %d bytes is longer than the %d that a log can hold", len(line), maxLine)
		}
		lines = append(lines, line)
	}
	return bytes.Join(lines, []byte{'\n'}), nil
}

// appendLine writes in one call, so that even a reader without the lock sees whole lines. What a crash or a full disk
// left unfinished is ended first, and what cannot be written whole is taken back.
func appendLine(f *os.File, line []byte) error {
	size, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	last := []byte{'\n'}
	if size > 0 {
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := f.Write(line); err != nil {
		return errors.Join(err, f.Truncate(size))
	}
	return f.Sync()
}

// open returns the file, locked until it is closed, with room for n more bytes, and whether nothing is in it yet.
func (l *Log[R]) open(n int64) (f *os.File, isNew bool, err error) {
	limit := l.MaxSize
	if limit == 0 {
		limit = defaultSize
	}
	for {
		f, err = os.OpenFile(l.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return nil, false, err
		}
		info, current, err := lock(f, l.Path)
		switch {
		case err != nil:
			f.Close()
			return nil, false, err
		case !current: // Somebody set the file aside while we waited for the lock.
		case info.Size() == 0 || info.Size()+n <= limit:
			return f, info.Size() == 0, nil
		default:
			if err := l.rotate(); err != nil {
				f.Close()
				return nil, false, err
			}
		}
		f.Close()
	}
}

// lock waits for the file and reports whether it is still the one at path.
func lock(f *os.File, path string) (info os.FileInfo, current bool, err error) {
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return nil, false, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, false, err
	}
	there, err := os.Stat(path)
	return info, err == nil && os.SameFile(info, there), nil
}

// rotate moves each file to the next number, the oldest out. The lock is held.
func (l *Log[R]) rotate() error {
	for i := keptLogs - 1; i >= 0; i-- {
		if err := os.Rename(l.name(i), l.name(i+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// name is the file that was set aside n rotations ago.
func (l *Log[R]) name(n int) string {
	if n == 0 {
		return l.Path
	}
	return l.Path + "." + strconv.Itoa(n)
}
