package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/project"
)

type cloneArgs struct {
	Project string `arg:"PROJECT"`
	Dir     string `arg:"[DIR]"`
}

func cloneCommand(a *app) *cobra.Command {
	return verb[cloneArgs, projectResult]{
		name:  "clone",
		short: "clone a project and verify it",
		long: `Clone makes a git repository in DIR, by default a folder with the project's name, of a project that is stored here. PROJECT is
rad:z…, or rad:z…/z6Mk… for what that peer has published. It verifies the signatures of the project, and that each branch and
tag that git received is where its peer signed it to be, before any file is checked out. It needs no key. The git remote is
called "lnk".`,
		example: "  lnk clone rad:z2Yj… tools",
		cannot:  "clone",
		exits:   []int{exitNotFound, exitConflict, exitUnavailable, exitDeadline, exitInterrupted},
		run:     a.clone,
	}.command(a)
}

func (a *app) clone(ctx context.Context, args cloneArgs) (projectResult, error) {
	target, err := a.target(ctx, args.Project)
	if err != nil {
		return projectResult{}, err
	}
	client, _, err := a.gitd()
	if err != nil {
		return projectResult{}, err
	}
	defer client.Close()
	shown, err := git.Show.Call(ctx, client, git.ProjectArgs{Project: transport.Target{Project: target.Project}.String()})
	if err != nil {
		return projectResult{}, err
	}
	if args.Dir == "" {
		args.Dir = folderName(shown)
	}
	dir, err := filepath.Abs(args.Dir)
	if err != nil {
		return projectResult{}, err
	}
	if err := a.runProgram(a.git(ctx, "clone", "--no-checkout", "--origin", remoteName, transport.Scheme+target.String(), dir)); err != nil {
		return projectResult{}, err
	}
	if err := a.verifyClone(ctx, client, dir, git.RefsArgs{Project: string(shown.URN), Peer: target.Peer}); err != nil {
		return projectResult{}, fmt.Errorf("cannot verify the clone in %s, no file was checked out: %w", dir, err)
	}
	return projectResult{shown.URN, dir}, a.checkOut(ctx, dir)
}

// folderName is the project's name if that can be a folder's.
func folderName(p git.Project) string {
	if p.Name != filepath.Base(p.Name) || strings.HasPrefix(p.Name, ".") || strings.HasPrefix(p.Name, "-") {
		return p.URN.RID()
	}
	return p.Name
}

// verifyClone lets gitd verify the chain of signatures, and compares what git received with what was signed.
func (a *app) verifyClone(ctx context.Context, client *ipc.Client, dir string, which git.RefsArgs) error {
	verified, err := git.Verify.Call(ctx, client, which)
	if err != nil {
		return err
	}
	if len(verified.Faults) > 0 {
		return errors.New(countFaults(verified))
	}
	signed, err := git.SignedRefs(ctx, client, which)
	if err != nil {
		return err
	}
	received, err := a.receivedRefs(ctx, dir)
	if err != nil {
		return err
	}
	want := make(map[string]project.OID, len(signed.Refs))
	for _, ref := range signed.Refs {
		want[ref.Name] = ref.OID
	}
	for name, oid := range received {
		if want[name] != oid {
			return fmt.Errorf("%s is %s, not the signed %s", name, oid, want[name])
		}
	}
	a.note("verified %s of %s and %s", count(verified.Verified, "signature"), signed.Peer, count(len(received), "ref"))
	return nil
}

// receivedRefs returns the branches and tags that a fresh clone got, by their names at the other end.
func (a *app) receivedRefs(ctx context.Context, dir string) (map[string]project.OID, error) {
	const branches = "refs/remotes/" + remoteName + "/"
	out, err := a.gitOutput(ctx, "-C", dir, "for-each-ref", "--format=%(objectname) %(refname)", branches, "refs/tags/")
	if err != nil {
		return nil, err
	}
	refs := map[string]project.OID{}
	for line := range strings.Lines(out) {
		hex, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		oid, err := project.ParseOID(hex)
		if err != nil {
			return nil, err
		}
		if branch, ok := strings.CutPrefix(name, branches); ok {
			name = "refs/heads/" + branch
		}
		if name != "refs/heads/HEAD" { // git's note of the default branch
			refs[name] = oid
		}
	}
	return refs, nil
}

// checkOut fills the folder, unless there is no commit yet.
func (a *app) checkOut(ctx context.Context, dir string) error {
	if _, err := a.gitOutput(ctx, "-C", dir, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
		return nil
	}
	_, err := a.gitOutput(ctx, "-C", dir, "reset", "--hard", "--quiet", "HEAD")
	return err
}
