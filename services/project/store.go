package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// IdentityRef is the ref, not namespaced, whose history is the chain of identity documents.
const IdentityRef = "refs/rad/id"

const (
	repositorySuffix = ".git"
	unfinishedPrefix = ".new-"
	// unfinishedAge is how old a repository that nobody finished must be before it is removed: no Create takes that long.
	unfinishedAge = time.Hour
)

// Namespace returns the prefix of everything that a peer owns in a repository: "refs/namespaces/<peer>/". Ref names of
// signed refs and of updated events are relative to it.
func Namespace(id peer.ID) string { return "refs/namespaces/" + string(id) + "/" }

// SignedRefsRef returns the ref that names the newest signed refs of a peer.
func SignedRefsRef(id peer.ID) string { return Namespace(id) + "refs/rad/sigrefs" }

// Store is the directory that holds one bare repository per project.
type Store struct {
	Dir string // profile.Dirs.Storage; made when the first project is
}

// Path returns where the project's repository is, or would be. The name is made from the bytes that the URN encodes, so
// that no text from outside becomes part of a path.
func (s Store) Path(urn URN) string {
	return filepath.Join(s.Dir, NewURN(urn.ID()).RID()+repositorySuffix)
}

// Open returns the repository of a project. A project that is not here is ipc.NotFound; a repository in a format that
// this package does not read (SHA-256 objects, reftable) ipc.Unsupported. It reads one file.
func (s Store) Open(_ context.Context, urn URN) (Repository, error) {
	r := Repository{URN: urn, Dir: s.Path(urn)}
	config, err := os.ReadFile(filepath.Join(r.Dir, "config"))
	if errors.Is(err, fs.ErrNotExist) {
		return Repository{}, ipc.Errorf(ipc.NotFound, "project %s is not stored here", urn).WithHint("lnk project list shows those that are")
	}
	if err != nil {
		return Repository{}, fmt.Errorf("cannot open project %s: %w", urn, err)
	}
	if err := checkFormat(string(config)); err != nil {
		return Repository{}, ipc.Errorf(ipc.Unsupported, "cannot open project %s: %w", urn, err)
	}
	return r, nil
}

// checkFormat looks for the two extensions that change how objects and refs are stored.
func checkFormat(config string) error {
	for line := range strings.Lines(config) {
		name, value, _ := strings.Cut(strings.ToLower(line), "=")
		name, value = strings.TrimSpace(name), strings.Trim(strings.TrimSpace(value), `"`)
		if name == "objectformat" && value != objectFormat {
			return fmt.Errorf("its repository uses %s objects, only %s is supported", clip(value), objectFormat)
		}
		if name == "refstorage" && value != "files" {
			return fmt.Errorf("its repository keeps refs in the format %s, only files is supported", clip(value))
		}
	}
	return nil
}

// List returns the projects stored here, sorted. A storage that does not exist is empty.
func (s Store) List() ([]URN, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list projects: %w", err)
	}
	var urns []URN
	for _, e := range entries {
		rid, ok := strings.CutSuffix(e.Name(), repositorySuffix)
		if urn, err := ParseURN(rid); ok && err == nil && e.IsDir() {
			urns = append(urns, urn)
		}
	}
	slices.Sort(urns)
	return urns, nil
}

// Create makes the repository of a project that is not here yet, with its identity in refs/rad/id; at is the date of
// that commit. The repository appears whole under its name or not at all, whatever ends the process or the machine; a
// project that is here already is ipc.AlreadyExists.
func (s Store) Create(ctx context.Context, id Identity, at time.Time) (Repository, error) {
	r, err := s.create(ctx, id, at)
	if err != nil {
		return Repository{}, fmt.Errorf("cannot create project %s: %w", id.URN, err)
	}
	return r, nil
}

func (s Store) create(ctx context.Context, id Identity, at time.Time) (Repository, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return Repository{}, err
	}
	s.sweep(at)
	path := s.Path(id.URN)
	if _, err := os.Lstat(path); err == nil {
		return Repository{}, alreadyHere()
	}
	temp, err := os.MkdirTemp(s.Dir, unfinishedPrefix)
	if err != nil {
		return Repository{}, err
	}
	defer os.RemoveAll(temp) // nothing is left of it if all goes well
	if err := fill(ctx, temp, id, at); err != nil {
		return Repository{}, err
	}
	if err := os.Rename(temp, path); errors.Is(err, fs.ErrExist) {
		return Repository{}, alreadyHere()
	} else if err != nil {
		return Repository{}, err
	}
	return Repository{URN: id.URN, Dir: path}, syncPath(s.Dir)
}

func alreadyHere() error { return ipc.Errorf(ipc.AlreadyExists, "it is stored here already") }

// fill makes a complete repository in a directory that nobody else knows.
func fill(ctx context.Context, dir string, id Identity, at time.Time) error {
	if _, err := git(ctx, dir, "init", "--quiet", "--bare", "--template=", "--initial-branch="+id.DefaultBranch); err != nil {
		return err
	}
	files, first := identityCommit(id, OID{}, at)
	tip, _, err := looseObjects{filepath.Join(dir, "objects")}.writeCommit(files, first)
	if err != nil {
		return err
	}
	ref := filepath.Join(dir, filepath.FromSlash(IdentityRef))
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(ref, []byte(tip.String()+"\n"), 0o644); err != nil {
		return err
	}
	// A URN is as good as SHA-1 is. Git looks for the traces of an attack on it, the standard library does not.
	if _, err := git(ctx, dir, "fsck", "--strict", "--no-dangling"); err != nil {
		return err
	}
	var paths []string
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	return errors.Join(err, syncAll(paths))
}

// sweep removes what creations that were killed have left.
func (s Store) sweep(now time.Time) {
	entries, _ := os.ReadDir(s.Dir) // an unreadable storage fails a moment later, with a better message
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), unfinishedPrefix) && now.Sub(info.ModTime()) > unfinishedAge {
			os.RemoveAll(filepath.Join(s.Dir, e.Name()))
		}
	}
}
