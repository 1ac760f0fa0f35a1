package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WriteFile puts data at path, whole or not at all, also when the machine loses power: a temporary file beside it, fsync,
// rename, fsync of the folder. An existing file is replaced. The folder must exist.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	return WriteFrom(path, bytes.NewReader(data), perm)
}

// WriteFrom is WriteFile for all that r yields. If r fails, path stays as it is.
func WriteFrom(path string, r io.Reader, perm os.FileMode) error {
	return write(path, r, perm, os.Rename)
}

// CreateFile is WriteFile for what must never be overwritten: if path exists the error is os.ErrExist and it stays as it is.
func CreateFile(path string, data []byte, perm os.FileMode) error {
	return write(path, bytes.NewReader(data), perm, os.Link)
}

// temporary begins the names of files that are not in place yet.
const temporary = ".tmp-"

// leftFor is how long nobody has written to a temporary file before it counts as left behind.
const leftFor = time.Hour

// Sweep removes what crashes have left of the files that WriteFile, WriteFrom and CreateFile were about to put into dir. What
// may still be written to stays.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), temporary) || !entry.Type().IsRegular() {
			continue
		}
		if info, gone := entry.Info(); gone == nil && time.Since(info.ModTime()) > leftFor {
			err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

func write(path string, r io.Reader, perm os.FileMode, place func(from, to string) error) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), temporary+"*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	// After a rename the name is gone already; after a link it must go.
	defer os.Remove(temp.Name())
	if err := fill(temp, r, perm); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := place(temp.Name(), path); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, errors.Unwrap(err))
	}
	return SyncDir(filepath.Dir(path))
}

func fill(f *os.File, r io.Reader, perm os.FileMode) error {
	_, err := io.Copy(f, r)
	return errors.Join(err, f.Chmod(perm), f.Sync(), f.Close())
}

// SyncDir makes the names in a folder survive a crash: fsync of a file keeps its bytes, not its name.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
