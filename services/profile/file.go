package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

func write(path string, r io.Reader, perm os.FileMode, place func(from, to string) error) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
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
