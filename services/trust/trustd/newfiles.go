package trustd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/lnk-suite/lnk/services/profile"
)

// newFiles are new versions of metadata, written to a place of their own until all are there.
type newFiles struct {
	folder   folder
	together bool

	mu    sync.Mutex
	names []string
}

// manyFiles is from how many files on one call that flushes the file system is cheaper than one per file.
const manyFiles = 64

// newFiles begins a set of about n files.
func (f folder) newFiles(n int) *newFiles { return &newFiles{folder: f, together: n >= manyFiles} }

// add writes a file. It may be called concurrently.
func (n *newFiles) add(name string, data []byte) error {
	n.mu.Lock()
	n.names = append(n.names, name)
	n.mu.Unlock()
	if err := writeWhole(n.folder.unfinished(name), data, !n.together); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

func writeWhole(path string, data []byte, sync bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644))
	if sync {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

// place puts the files where clients find what is named to them, all on disk when it returns.
func (n *newFiles) place() error {
	if len(n.names) == 0 {
		return nil
	}
	if n.together {
		if err := syncFileSystem(n.folder.dir); err != nil {
			return err
		}
	}
	for _, name := range n.names {
		if err := os.Rename(n.folder.unfinished(name), n.folder.metadata(name)); err != nil {
			return err
		}
	}
	return profile.SyncDir(filepath.Join(n.folder.dir, "metadata"))
}

// drop removes files that are not to be placed.
func (n *newFiles) drop() {
	for _, name := range n.names {
		_ = os.Remove(n.folder.unfinished(name))
	}
}

// keptVersions is how many versions of a role stay for clients that are in the middle of an update.
const keptVersions = 10

// forget removes the version of each role that is too old to be of use; root versions stay for ever.
func (n *newFiles) forget() {
	for _, name := range n.names {
		var version int64
		number, rest, _ := strings.Cut(name, ".")
		if _, err := fmt.Sscan(number, &version); err == nil && version > keptVersions && rest != "root.json" {
			_ = os.Remove(n.folder.metadata(fmt.Sprintf("%d.%s", version-keptVersions, rest)))
		}
	}
}
