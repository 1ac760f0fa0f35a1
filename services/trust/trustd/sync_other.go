//go:build !linux

package trustd

import (
	"errors"
	"os"
	"path/filepath"
)

// syncFileSystem returns once everything in dir is on disk.
func syncFileSystem(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, path := range paths {
		f, openErr := os.Open(path)
		if openErr != nil {
			err = errors.Join(err, openErr)
			continue
		}
		err = errors.Join(err, f.Sync(), f.Close())
	}
	return err
}
