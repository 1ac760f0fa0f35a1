package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// slack is by how much the dates of files may be behind the clock: a tick of the kernel, at most.
const slack = 20 * time.Millisecond

// Sync waits until the disk has the objects that were stored since then, loose or in packs, and where these refs, by full
// name, point now. Git leaves loose objects, refs and the names of packs to the system, which takes half a minute.
func (r Repository) Sync(since time.Time, refs ...string) error {
	paths, err := r.storedSince(since.Add(-slack))
	if err != nil {
		return err
	}
	for _, ref := range refs {
		path := filepath.Join(r.Dir, filepath.FromSlash(ref))
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) { // deleted, or packed by somebody
			path = filepath.Join(r.Dir, "packed-refs")
		}
		paths = append(paths, path, filepath.Dir(path))
	}
	slices.Sort(paths)
	return syncAll(slices.Compact(paths))
}

// storedSince returns the files of objects with a date since then, and the folders whose entries have changed.
func (r Repository) storedSince(since time.Time) ([]string, error) {
	folders, err := changedSince(r.objects(), since)
	if err != nil {
		return nil, err
	}
	paths := []string{r.objects()}
	for _, folder := range folders {
		if name := filepath.Base(folder); len(name) != 2 && name != "pack" { // a quarantine, or what is being written
			continue
		}
		files, err := changedSince(folder, since)
		if err != nil {
			return nil, err
		}
		paths = append(append(paths, folder), files...)
	}
	return paths, nil
}

// changedSince returns the paths in a folder whose date is not before since, without what git has not finished, such as a
// pack of others.
func changedSince(folder string, since time.Time) (paths []string, err error) {
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		info, infoErr := entry.Info()
		switch {
		case !entry.IsDir() && (strings.HasPrefix(entry.Name(), "tmp_") || strings.HasPrefix(entry.Name(), ".tmp-")):
		case errors.Is(infoErr, fs.ErrNotExist): // removed meanwhile
		case infoErr != nil:
			return nil, infoErr
		case !info.ModTime().Before(since):
			paths = append(paths, filepath.Join(folder, entry.Name()))
		}
	}
	return paths, err
}

// maxSyncs bounds how many waits for the disk there are at once, each of which holds a thread.
const maxSyncs = 32

// syncAll waits until the disk has these files, and the entries of these directories. It asks for many at once, which
// takes little longer than asking for one.
func syncAll(paths []string) error {
	var disk errgroup.Group
	disk.SetLimit(maxSyncs)
	for _, path := range paths {
		disk.Go(func() error { return syncPath(path) })
	}
	return disk.Wait()
}

// syncPath waits for one path. One that is gone needs nothing: another push has removed it.
func syncPath(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
