package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/trust"
)

type initArgs struct {
	Dir           string `arg:"[DIR]"`
	Name          string `json:"name" help:"the project's <NAME> (default: the folder's)"`
	Description   string `json:"description" help:"what the project is, a <SENTENCE>"`
	DefaultBranch string `json:"default_branch" help:"the <BRANCH> that people get (default: the current one)"`
}

// projectResult is a project that a command made or fetched.
type projectResult struct {
	URN project.URN `json:"urn" cbor:"0,keyasint"`
	Dir string      `json:"dir" cbor:"1,keyasint"`
}

func printURN(w io.Writer, r projectResult) error {
	_, err := fmt.Fprintln(w, r.URN)
	return err
}

func initCommand(a *app) *cobra.Command {
	return verb[initArgs, projectResult]{
		name:  "init",
		short: "make a project of a git repository",
		long: `Init makes the git repository in DIR, by default the current folder, a project: it signs an identity document through your
ssh-agent, stores it, adds the git remote "lnk" with the URL lnk://URN, and prints the URN alone. A folder that is no
repository becomes one. What to publish is then up to git push lnk, or lnk push.`,
		example: "  lnk init\n  lnk init --name tools --description 'small tools' ~/src/tools",
		cannot:  "make a project",
		exits:   []int{exitNotFound, exitConflict, exitUnavailable, exitNoKey, exitDeadline, exitInterrupted},
		run:     a.initProject,
		text:    printURN,
	}.command(a)
}

func (a *app) initProject(ctx context.Context, args initArgs) (projectResult, error) {
	dir, err := filepath.Abs(args.Dir)
	if err != nil {
		return projectResult{}, err
	}
	client, p, err := a.gitd()
	if err != nil {
		return projectResult{}, err
	}
	defer client.Close()
	if err := a.ensureRepository(ctx, dir); err != nil {
		return projectResult{}, err
	}
	identity, err := a.signIdentity(ctx, dir, args, p.Peer)
	if err != nil {
		return projectResult{}, err
	}
	if _, err := git.Create.Call(ctx, client, git.CreateArgs{Identity: identity.Files()}); err != nil {
		return projectResult{}, err
	}
	_, err = a.gitOutput(ctx, "-C", dir, "remote", "add", remoteName, transport.Scheme+string(identity.URN))
	return projectResult{identity.URN, dir}, err
}

// ensureRepository makes dir a git repository, and refuses one that is a project already, before anything is signed.
func (a *app) ensureRepository(ctx context.Context, dir string) error {
	if _, err := a.gitOutput(ctx, "-C", dir, "rev-parse", "--git-dir"); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		_, err := a.gitOutput(ctx, "init", "--quiet", "--initial-branch="+project.DefaultBranch, dir)
		return err
	}
	if url, err := a.gitOutput(ctx, "-C", dir, "remote", "get-url", remoteName); err == nil {
		return ipc.Errorf(ipc.AlreadyExists, "the repository has a remote %q already: %s", remoteName, url).
			WithHint("publish with git push lnk; for another project, rename the remote: git remote rename lnk NAME")
	}
	return nil
}

// signIdentity makes the first version of the project's identity document, with the profile's key as the only delegate.
func (a *app) signIdentity(ctx context.Context, dir string, args initArgs, id peer.ID) (project.Identity, error) {
	if args.Name == "" {
		args.Name = filepath.Base(dir)
	}
	if args.DefaultBranch == "" {
		// A detached HEAD has no name: the project's own default is used.
		args.DefaultBranch, _ = a.gitOutput(ctx, "-C", dir, "symbolic-ref", "--short", "HEAD")
	}
	first := project.Identity{}
	root, err := first.Next(project.Spec{
		Name: args.Name, Description: args.Description, DefaultBranch: args.DefaultBranch,
		Delegates: []peer.ID{id}, Expires: time.Now().Add(project.Lifetime),
	})
	if err != nil {
		return project.Identity{}, err
	}
	signer, err := a.signer(ctx, "identity", "lnk init")
	if err != nil {
		return project.Identity{}, err
	}
	if root, err = trust.SignRoot(ctx, signer, root, nil); err != nil {
		return project.Identity{}, err
	}
	return first.Advance(trust.RootProcess(nil, root), time.Now())
}
