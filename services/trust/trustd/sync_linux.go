package trustd

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncFileSystem returns once everything written below dir is on disk.
func syncFileSystem(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
