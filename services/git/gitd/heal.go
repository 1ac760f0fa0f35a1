package gitd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/project"
)

// heal repairs what the end of the machine can leave of a push: empty files in place of refs, which git neither reads nor
// overwrites, so that every push would fail. Ours get what we have signed. It needs no lock: a living git never shows one.
func (r *repository) heal(ctx context.Context) error {
	prefix := project.Namespace(r.peer)
	empty, err := r.emptyRefs(prefix+"refs", "refs/heads")
	if err != nil || len(empty) == 0 {
		return err
	}
	tip, err := r.disk.Ref(ctx, project.SignedRefsRef(r.peer))
	if err != nil {
		return err
	}
	signed, err := r.signedAt(ctx, tip)
	if err != nil {
		return err
	}
	for _, name := range empty {
		var oid project.OID // the project's own branch is decided anew with the next push
		if ref, ours := strings.CutPrefix(name, prefix); ours {
			oid = signed.Refs[ref]
		}
		if err := r.rewrite(ctx, name, oid); err != nil {
			return err
		}
	}
	return nil
}

// emptyRefs returns the refs in folders, by full name, whose files are empty.
func (r *repository) emptyRefs(folders ...string) (empty []string, err error) {
	for _, folder := range folders {
		walkErr := fs.WalkDir(os.DirFS(r.disk.Dir), folder, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || strings.HasSuffix(name, ".lock") {
				return ignoreMissing(err)
			}
			info, err := entry.Info()
			if err == nil && info.Size() == 0 {
				empty = append(empty, name)
			}
			return ignoreMissing(err)
		})
		err = errors.Join(err, walkErr)
	}
	return empty, err
}

// ignoreMissing drops the error of a file that another push deletes meanwhile.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// rewrite puts an object id into the file of a ref, or removes it if there is no such object: a push brings it again.
func (r *repository) rewrite(ctx context.Context, name string, oid project.OID) error {
	path := filepath.Join(r.disk.Dir, filepath.FromSlash(name))
	kinds := kindReader{engine: r.engine, repo: r.disk.Dir}
	kinds.want(oid)
	found, err := kinds.read(ctx)
	if err != nil {
		return err
	}
	if found[oid] == "" {
		return ignoreMissing(os.Remove(path))
	}
	return profile.WriteFile(path, []byte(oid.String()+"\n"), 0o644)
}

// deadAge is for how long nothing must have been written to what git has not finished for its maker to count as dead.
const deadAge = 24 * time.Hour

// unfinished are what git writes before it gives it a name: the quarantine of a push, packs.
var unfinished = []string{"*incoming-*", "pack/tmp_*"}

// sweep removes what git was killed over, as nobody needs it: the quarantines of pushes, which are as large as what had
// come, packs that were being written, and what is left of those that were being removed.
func (r *repository) sweep(now time.Time) error {
	dead, err := r.orphans()
	for _, pattern := range unfinished {
		found, globErr := filepath.Glob(filepath.Join(r.disk.Dir, "objects", filepath.FromSlash(pattern)))
		dead, err = append(dead, found...), errors.Join(err, globErr)
	}
	for _, path := range dead {
		used, usedErr := lastUsed(path)
		if usedErr == nil && now.Sub(used) > deadAge {
			usedErr = os.RemoveAll(path)
		}
		err = errors.Join(err, ignoreMissing(usedErr))
	}
	return err
}

// lastUsed returns when a file, or anything in a folder, was written last.
func lastUsed(dir string) (last time.Time, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
		return err
	})
	return last, err
}
