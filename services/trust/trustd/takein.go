package trustd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

// takeIn copies a local file to where clients look for the artifact, <folder>/<sha256>.<name>, and describes it by that hash
// alone: a client may ask for the file by any hash that the metadata lists.
func (f folder) takeIn(ctx context.Context, a trust.Artifact) (trust.Target, error) {
	anything := trust.Target{Hashes: map[string]string{"sha256": strings.Repeat("0", 2*sha256.Size)}}
	if err := trust.CheckTarget(a.Path, anything); err != nil {
		return trust.Target{}, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	from, err := openRegular(a.File)
	if err != nil {
		return trust.Target{}, err
	}
	defer from.Close()
	dir := filepath.Join(f.targets(), filepath.FromSlash(path.Dir(a.Path)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return trust.Target{}, err
	}
	temp, err := os.CreateTemp(filepath.Dir(f.unfinished("")), "target-*")
	if err != nil {
		return trust.Target{}, err
	}
	defer os.Remove(temp.Name())
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(temp, hash), cancellable{ctx, from})
	if err := errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close()); err != nil {
		return trust.Target{}, err
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if err := os.Rename(temp.Name(), filepath.Join(dir, sum+"."+path.Base(a.Path))); err != nil {
		return trust.Target{}, err
	}
	return trust.Target{Length: n, Hashes: map[string]string{"sha256": sum}, Custom: json.RawMessage(a.Custom)}, f.syncTargets(dir)
}

// syncTargets makes the names in dir durable, and those of the folders that lead to it from the folder of targets.
func (f folder) syncTargets(dir string) error {
	for {
		if err := profile.SyncDir(dir); err != nil || dir == f.targets() {
			return err
		}
		dir = filepath.Dir(dir)
	}
}

func openRegular(name string) (*os.File, error) {
	if !filepath.IsAbs(name) {
		return nil, ipc.Errorf(ipc.BadRequest, "the path of the file must be absolute, not %s", name)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer is not waited for
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, ipc.Errorf(ipc.PermissionDenied, "%w", err)
	case err != nil:
		return nil, ipc.Errorf(ipc.NotFound, "%w", err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(ipc.Errorf(ipc.BadRequest, "%s is no regular file", name), f.Close())
	}
	return f, nil
}

// cancellable ends a copy when its caller is gone.
type cancellable struct {
	ctx context.Context
	io.Reader
}

// Read implements io.Reader.
func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
