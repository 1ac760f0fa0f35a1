package gitd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/services/profile"
)

// packing is one run of housekeeping in one repository.
type packing struct {
	engine  *engine
	repo    *repository
	keeping *fileLock // git inherits it: should this process be killed, nobody else begins before git has ended
	began   time.Time
}

func (p *packing) run(ctx context.Context) error {
	path := filepath.Join(p.repo.disk.Dir, packedRefs)
	removeStale(p.began, path+".new", path+".lock") // of one that was killed
	if err := errors.Join(p.repo.sweep(p.began), p.packRefs(ctx)); err != nil {
		return err
	}
	return errors.Join(p.adopt(ctx), p.packObjects(ctx))
}

// adopt makes an index for packs that have none, because a git was killed before it made it, or while it removed both: nobody
// knows what is in there alone, so they become packs as others are.
func (p *packing) adopt(ctx context.Context) error {
	found, err := filepath.Glob(filepath.Join(p.repo.packFolder(), "pack-*.pack"))
	for _, pack := range found {
		info, statErr := os.Stat(pack)
		if statErr != nil || p.began.Sub(info.ModTime()) < deadAge || exists(strings.TrimSuffix(pack, ".pack")+".idx") {
			continue
		}
		_, indexErr := p.git(ctx, yieldProcess, nil, "index-pack", pack)
		err = errors.Join(err, indexErr)
	}
	return err
}

// packRefs gathers refs in one file. A push that deletes refs waits for it, so it has the usual priority, and is quick.
func (p *packing) packRefs(ctx context.Context) error {
	_, err := p.git(ctx, func(int) {}, nil, "pack-refs", "--all", "--prune")
	return err
}

// packObjects makes one pack of the small packs and all loose objects, whether or not anything refers to them, and then
// removes what that has made superfluous.
func (p *packing) packObjects(ctx context.Context) error {
	small, large, err := p.repo.packs()
	if err != nil {
		return err
	}
	made, err := p.newPacks(ctx, small, large)
	if err != nil {
		return errors.Join(err, p.removeUnfinished())
	}
	loose, err := p.packedLoose(ctx)
	if err != nil {
		return err
	}
	if err := profile.SyncDir(p.repo.packFolder()); err != nil { // what packs there replace is removed next
		return err
	}
	replaced := slices.DeleteFunc(small, func(name string) bool { return slices.Contains(made, name) })
	return errors.Join(removeFiles(loose), p.repo.removePacks(replaced))
}

// newPacks returns the names of what it makes: more than one pack only if that would be too large a file.
func (p *packing) newPacks(ctx context.Context, small, large []string) (made []string, err error) {
	var list bytes.Buffer
	for _, name := range small {
		fmt.Fprintf(&list, "%s.pack\n", name)
	}
	for _, name := range large { // git need not look into them
		fmt.Fprintf(&list, "^%s.pack\n", name)
	}
	out, err := p.git(ctx, yieldProcess, list.Bytes(), "pack-objects", "-q", "--non-empty", "--delta-base-offset",
		"--stdin-packs", "--unpacked", filepath.Join(p.repo.packFolder(), "pack"))
	for _, hash := range strings.Fields(string(out)) {
		made = append(made, "pack-"+hash)
	}
	return made, err
}

// packedLoose has git say which loose objects are in a pack, too, and returns their files.
func (p *packing) packedLoose(ctx context.Context) (paths []string, err error) {
	out, err := p.git(ctx, yieldProcess, nil, "prune-packed", "--dry-run")
	objects := filepath.Join(p.repo.disk.Dir, "objects")
	for line := range strings.Lines(string(out)) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "rm -f ")
		if ok && filepath.Dir(filepath.Dir(path)) == objects {
			paths = append(paths, path)
		}
	}
	return paths, err
}

// removeUnfinished removes the packs that a git which has ended did not complete: it may be tried again soon. Those of
// pushes are elsewhere.
func (p *packing) removeUnfinished() error {
	found, err := filepath.Glob(filepath.Join(p.repo.packFolder(), "tmp_*"))
	for _, path := range found {
		if info, statErr := os.Lstat(path); statErr == nil && !info.ModTime().Before(p.began) {
			err = errors.Join(err, removeFiles([]string{path}))
		}
	}
	return err
}

// lowestPriority is that of setpriority(2).
const lowestPriority = 19

// git runs one git process, which is told to end when ctx does.
func (p *packing) git(ctx context.Context, prioritize func(pid int), stdin []byte, args ...string) ([]byte, error) {
	settings := append(p.engine.commonSettings(),
		setting{"core.fsync", "all"}, // also refs: their files are removed next
		setting{"pack.threads", "1"},
		setting{"pack.packSizeLimit", strconv.FormatInt(p.engine.limits.Input, 10)}) // half of the largest file that it may write
	cmd, stderr := p.engine.command(ctx, p.engine.environment(settings), append([]string{"--git-dir=" + p.repo.disk.Dir}, args...)...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.ExtraFiles = bytes.NewReader(stdin), &out, []*os.File{p.keeping.file}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start git: %w", err)
	}
	limitProcess(cmd.Process.Pid, p.engine.limits)
	prioritize(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("git %s: %w", args[0], stderr.explain(err, context.Cause(ctx)))
	}
	return out.Bytes(), nil
}

// smallPack is the size in bytes from which on a pack is not copied any more.
const smallPack = 64 << 20

// packs names the packs that may become one, and those that are too large or are to be kept (.keep). Git gc's packs of
// garbage (.mtimes) are neither: what is in one counts as old.
func (r *repository) packs() (small, large []string, err error) {
	indexes, err := filepath.Glob(filepath.Join(r.packFolder(), "pack-*.idx"))
	for _, index := range indexes {
		pack := strings.TrimSuffix(index, ".idx")
		info, err := os.Stat(pack + ".pack")
		switch {
		case err != nil || exists(pack+".mtimes"):
		case info.Size() < smallPack && !exists(pack+".keep"):
			small = append(small, filepath.Base(pack))
		default:
			large = append(large, filepath.Base(pack))
		}
	}
	return small, large, err
}

// orphans returns the files that belong to packs which are gone.
func (r *repository) orphans() (paths []string, err error) {
	found, err := filepath.Glob(filepath.Join(r.packFolder(), "pack-*"))
	for _, path := range found {
		if pack := strings.TrimSuffix(path, filepath.Ext(path)); !exists(pack + ".pack") {
			paths = append(paths, path)
		}
	}
	return paths, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func (r *repository) packFolder() string { return filepath.Join(r.disk.Dir, "objects", "pack") }

// removePacks removes packs with all that belongs to them, in git's order: without its index a pack is not looked at.
func (r *repository) removePacks(names []string) error {
	var paths []string
	for _, name := range names {
		for _, suffix := range []string{".idx", ".pack", ".rev", ".bitmap"} {
			paths = append(paths, filepath.Join(r.packFolder(), name+suffix))
		}
	}
	return removeFiles(paths)
}

// removeFiles leaves folders, also those that are empty now: others are about to put something there.
func removeFiles(paths []string) (err error) {
	for _, path := range paths {
		err = errors.Join(err, ignoreMissing(os.Remove(path)))
	}
	return err
}
