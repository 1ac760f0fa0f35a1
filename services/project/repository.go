package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// Repository is one project on disk. It may be used by several goroutines; it holds no lock, so that whoever writes for
// one peer has to see to it that nobody else does.
type Repository struct {
	URN URN
	Dir string // the bare git repository
}

func (r Repository) reader(ctx context.Context) *objectReader {
	return &objectReader{ctx: ctx, dir: r.Dir, loose: looseObjects{r.objects()}}
}

func (r Repository) objects() string { return filepath.Join(r.Dir, "objects") }

// Ref returns where a ref, by its full name, points; the zero OID if it does not exist. It starts no process.
func (r Repository) Ref(_ context.Context, name string) (OID, error) {
	if why := refNameFault(name); why != "" || !strings.HasPrefix(name, "refs/") {
		return OID{}, ipc.Errorf(ipc.BadRequest, "%q is not the name of a ref", clip(name))
	}
	oid, err := r.looseRef(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
		oid, err = r.packedRef(name) // in this order: git packs a ref before it removes its file
	}
	if err != nil {
		return OID{}, fmt.Errorf("project %s: %s: %w", r.URN, name, err)
	}
	return oid, nil
}

func (r Repository) looseRef(name string) (OID, error) {
	data, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(name)))
	if err != nil {
		return OID{}, err
	}
	return readRefFile(string(data))
}

// packedRef finds a ref in packed-refs, whose lines are the object id, a space and the name.
func (r Repository) packedRef(name string) (OID, error) {
	data, err := os.ReadFile(filepath.Join(r.Dir, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return OID{}, nil
	}
	if err != nil {
		return OID{}, err
	}
	before, _, found := bytes.Cut(data, []byte(" "+name+"\n"))
	if !found {
		return OID{}, nil
	}
	return readRefFile(string(before[bytes.LastIndexByte(before, '\n')+1:]))
}

// Refs returns what is in a peer's namespace, relative to it ("refs/heads/main"), without the refs/rad that describe it.
func (r Repository) Refs(ctx context.Context, id peer.ID) (map[string]OID, error) {
	full, err := r.list(ctx, Namespace(id)+"refs/")
	if err != nil {
		return nil, err
	}
	refs := make(map[string]OID, len(full))
	for name, oid := range full {
		if name = strings.TrimPrefix(name, Namespace(id)); !strings.HasPrefix(name, "refs/rad/") {
			refs[name] = oid
		}
	}
	return refs, nil
}

// Peers returns those who have signed refs here, sorted.
func (r Repository) Peers(ctx context.Context) ([]peer.ID, error) {
	full, err := r.list(ctx, SignedRefsRef("*"))
	if err != nil {
		return nil, err
	}
	var peers []peer.ID
	for name := range full {
		id, err := peer.Parse(strings.Split(name, "/")[2])
		if err == nil && SignedRefsRef(id) == name {
			peers = append(peers, id)
		}
	}
	slices.Sort(peers)
	return peers, nil
}

func (r Repository) list(ctx context.Context, patterns ...string) (map[string]OID, error) {
	out, err := git(ctx, r.Dir, append([]string{"for-each-ref", "--format=%(objectname) %(refname)"}, patterns...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot read the refs of project %s: %w", r.URN, err)
	}
	refs := make(map[string]OID)
	for line := range strings.Lines(out) {
		hex, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		oid, err := ParseOID(hex)
		if err != nil {
			return nil, ipc.Errorf(ipc.Corrupt, "project %s: %s: %w", r.URN, name, err)
		}
		refs[name] = oid
	}
	return refs, nil
}

// Identity reads the chain of identity documents and verifies it from the first version, whose blob must be the one
// that the URN names.
func (r Repository) Identity(ctx context.Context) (Identity, error) {
	id, _, err := r.IdentityAndTip(ctx)
	return id, err
}

// IdentityAndTip is Identity, with the commit of refs/rad/id that holds it.
func (r Repository) IdentityAndTip(ctx context.Context) (Identity, OID, error) {
	tip, err := r.Ref(ctx, IdentityRef)
	if err != nil {
		return Identity{}, OID{}, err
	}
	if tip.IsZero() {
		return Identity{}, OID{}, ipc.Errorf(ipc.Corrupt, "project %s has no %s", r.URN, IdentityRef)
	}
	objects := r.reader(ctx)
	defer objects.Close()
	id, err := readIdentity(objects, tip)
	if err != nil {
		return Identity{}, OID{}, fmt.Errorf("project %s: %s: %w", r.URN, IdentityRef, err)
	}
	if id.URN != r.URN {
		return Identity{}, OID{}, ipc.Errorf(ipc.Corrupt, "project %s: %s holds the identity of another project, %s", r.URN, IdentityRef, id.URN)
	}
	return id, tip, nil
}

func identityFile(version int) string { return fmt.Sprintf("%d.root.json", version) }

func readIdentity(objects *objectReader, tip OID) (Identity, error) {
	files, _, err := objects.files(tip)
	if err != nil {
		return Identity{}, err
	}
	var chain [][]byte
	for version := 1; len(chain) < len(files); version++ {
		blob, ok := files[identityFile(version)]
		if !ok {
			return Identity{}, ipc.Errorf(ipc.Corrupt, "the tree holds %v, want 1.root.json and so on", slices.Sorted(maps.Keys(files)))
		}
		data, err := objects.read(blob, kindBlob)
		if err != nil {
			return Identity{}, err
		}
		chain = append(chain, data)
	}
	return VerifyChain(chain)
}

// identityCommit is a commit of refs/rad/id: a file for each version.
func identityCommit(id Identity, parent OID, at time.Time) (map[string][]byte, commit) {
	files := make(map[string][]byte, len(id.roots))
	for i, data := range id.Files() {
		files[identityFile(i+1)] = data
	}
	return files, commit{parents: parentsOf(parent), author: string(id.URN), at: at, message: fmt.Sprintf("identity version %d", id.Version)}
}

// SetNamespaceHead makes HEAD of a peer's namespace point at a branch in it, so that clones of the namespace check out
// that branch. It writes one file, and nothing if it is there already. The branch should exist: git-fsck(1) takes a HEAD
// in a namespace that points nowhere for damage.
func (r Repository) SetNamespaceHead(id peer.ID, branch string) error {
	return r.setHead(Namespace(id), branch)
}

// SetHead makes HEAD of the repository itself point at the project's default branch, likewise.
func (r Repository) SetHead(branch string) error { return r.setHead("", branch) }

func (r Repository) setHead(namespace, branch string) error {
	if err := CheckRef("refs/heads/" + branch); err != nil {
		return err
	}
	path := filepath.Join(r.Dir, filepath.FromSlash(namespace), "HEAD")
	content := "ref: " + namespace + "refs/heads/" + branch + "\n"
	if old, err := os.ReadFile(path); err == nil && string(old) == content {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return writeWhole(path, []byte(content))
}

// writeWhole replaces a small file by renaming another over it.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
