package trustd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
)

// folder holds one repository. Whoever has it open is the only one to write.
type folder struct {
	dir  string
	lock *os.File
}

func (f folder) statePath() string           { return filepath.Join(f.dir, "state.json") }
func (f folder) metadata(name string) string { return filepath.Join(f.dir, "metadata", name) }
func (f folder) targets() string             { return filepath.Join(f.dir, "targets") }
func (f folder) task(id string) string       { return filepath.Join(f.dir, "tasks", id+".json") }

// lockPatience covers a daemon that is still leaving.
const lockPatience = 5 * time.Second

// openFolder makes the folder if need be and locks it. What a crash left half-written is removed.
func openFolder(ctx context.Context, dir string) (folder, error) {
	for _, sub := range []string{"metadata", "targets", "tasks"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return folder{}, err
		}
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return folder{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			f := folder{dir, lock}
			return f, f.sweep()
		}
		select {
		case <-ctx.Done():
			_ = lock.Close()
			return folder{}, ipc.Errorf(ipc.Unavailable, "another process has the repository in %s open", dir)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (f folder) close() { _ = f.lock.Close() }

func (f folder) sweep() error {
	for _, sub := range []string{".", "metadata", "targets", "tasks"} {
		left, err := filepath.Glob(filepath.Join(f.dir, sub, ".tmp-*"))
		if err != nil {
			return err
		}
		for _, path := range left {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// file is one that clients do not look for yet.
type file struct {
	name string
	data []byte
}

// manyFiles is from how many files on one call that flushes the file system is cheaper than one per file.
const manyFiles = 64

// writeNew puts new versions of metadata beside those that are in use, all on disk when it returns.
func (f folder) writeNew(files []file) error {
	if len(files) == 0 {
		return nil
	}
	together := len(files) >= manyFiles
	for _, one := range files {
		if err := f.write(one, !together); err != nil {
			return fmt.Errorf("cannot write %s: %w", one.name, err)
		}
	}
	dir := filepath.Join(f.dir, "metadata")
	if together {
		if err := syncFileSystem(dir); err != nil {
			return err
		}
	}
	return profile.SyncDir(dir)
}

func (f folder) write(one file, sync bool) error {
	temp, err := os.CreateTemp(filepath.Join(f.dir, "metadata"), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(one.data)
	err = errors.Join(err, temp.Chmod(0o644))
	if sync {
		err = errors.Join(err, temp.Sync())
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), f.metadata(one.name))
}

// place makes name hold data, unless it does. A version that is there already is never replaced: clients may have it.
func (f folder) place(name string, data []byte, once bool) error {
	have, err := os.ReadFile(f.metadata(name))
	switch {
	case err == nil && bytes.Equal(have, data):
		return nil
	case err == nil && once:
		return ipc.Errorf(ipc.Corrupt, "%s is published already, with other content", name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return profile.WriteFile(f.metadata(name), data, 0o644)
}

// keptVersions is how many versions of a role stay for clients that are in the middle of an update.
const keptVersions = 10

// forget removes the version of each role that is too old to be of use; root versions stay for ever.
func (f folder) forget(files []file) {
	for _, one := range files {
		var version int64
		number, rest, _ := strings.Cut(one.name, ".")
		if _, err := fmt.Sscan(number, &version); err == nil && version > keptVersions && rest != "root.json" {
			_ = os.Remove(f.metadata(fmt.Sprintf("%d.%s", version-keptVersions, rest)))
		}
	}
}
