package trustd

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
)

// folder holds one repository. Whoever has it open is the only one to write.
type folder struct {
	dir  string
	lock *os.File
}

func (f folder) statePath() string             { return filepath.Join(f.dir, "state.json") }
func (f folder) metadata(name string) string   { return filepath.Join(f.dir, "metadata", name) }
func (f folder) unfinished(name string) string { return filepath.Join(f.dir, "new", name) }
func (f folder) targets() string               { return filepath.Join(f.dir, "targets") }
func (f folder) task(id string) string         { return filepath.Join(f.dir, "tasks", id+".json") }

// lockPatience covers a daemon that is still leaving, which takes 12 s at most.
const lockPatience = 15 * time.Second

// openFolder makes the folder if need be and locks it. What a crash left half-written is removed.
func openFolder(ctx context.Context, dir string) (folder, error) {
	for _, sub := range []string{"metadata", "targets", "tasks", "new"} {
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
	if err := profile.Lock(ctx, lock); err != nil {
		_ = lock.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			err = ipc.Errorf(ipc.Unavailable, "another process has the repository in %s open", dir)
		}
		return folder{}, err
	}
	f := folder{dir, lock}
	return f, f.sweep()
}

func (f folder) close() { _ = f.lock.Close() }

// sweep removes what was never finished. There may be tens of thousands of finished files: it does not go through those.
func (f folder) sweep() error {
	for _, pattern := range []string{"new/*", ".tmp-*"} {
		left, err := filepath.Glob(filepath.Join(f.dir, pattern))
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
	one := f.newFiles(1)
	if err := one.add(name, data); err != nil {
		return err
	}
	return one.place()
}
