package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/trust"
)

// projectChange is what a command line wants to be different in a project's identity.
type projectChange struct {
	Add           []string `json:"add_delegate" help:"a <KEY> that shall speak for the project from now on"`
	Remove        []string `json:"remove_delegate" help:"a <KEY> that shall not any more"`
	Threshold     int      `json:"threshold" help:"how many delegates it takes; 0 leaves that as it is"`
	Name          string   `json:"name" help:"another name"`
	Description   *string  `json:"description" help:"another description; it may be empty"`
	DefaultBranch string   `json:"default_branch" help:"another <BRANCH> that people get"`
	Days          int      `json:"days" help:"for how many days from now the identity is good; 0 leaves that as it is"`
}

func (c projectChange) apply(spec project.Spec) (project.Spec, error) {
	for _, text := range c.Remove {
		id, _, err := readDelegate(text)
		if err != nil {
			return spec, err
		}
		i := slices.Index(spec.Delegates, id)
		if i < 0 {
			return spec, ipc.Errorf(ipc.BadRequest, "%s is no delegate", id).WithHint("lnk project show lists them")
		}
		spec.Delegates = slices.Delete(slices.Clone(spec.Delegates), i, i+1)
		delete(spec.Names, id)
	}
	for _, text := range c.Add {
		id, name, err := readDelegate(text)
		if err != nil {
			return spec, err
		}
		if slices.Contains(spec.Delegates, id) {
			return spec, ipc.Errorf(ipc.BadRequest, "%s is a delegate already", id)
		}
		spec.Delegates = append(spec.Delegates, id)
		if name != "" {
			spec.Names[id] = name
		}
	}
	for _, text := range []struct {
		now  *string
		then string
	}{{&spec.Name, c.Name}, {&spec.DefaultBranch, c.DefaultBranch}} {
		if text.then != "" {
			*text.now = text.then
		}
	}
	if c.Description != nil {
		spec.Description = *c.Description
	}
	if c.Threshold != 0 {
		spec.Threshold = c.Threshold
	}
	var err error
	spec.Expires, err = inDays(c.Days, spec.Expires)
	return spec, err
}

// readDelegate reads [NAME=]KEY.
func readDelegate(text string) (peer.ID, string, error) {
	key, name, err := readTrustKey(text)
	if err != nil {
		return "", "", err
	}
	id, err := peer.FromPublicKey(key.Public)
	return id, name, err
}

type projectUpdateArgs struct {
	projectArg
	projectChange
}

func projectUpdate(a *app) *cobra.Command {
	return verb[projectUpdateArgs, git.IdentityResult]{
		name: "update", short: "propose the next version of a project's identity",
		long: `Update makes the next version of the identity document with the changes that the flags name, signs it with every key that counts
and that your agent holds, and stores it. If that is not enough it waits: the other delegates see it with lnk project show and sign
it with lnk project sign. It takes a threshold of the old delegates and of the new. Without flags only the version is new.

` + trustKeyHelp,
		example: "  lnk project update --add-delegate ben=z6MkB… --add-delegate eve=eve.pub --threshold 2\n  lnk project update --remove-delegate z6MkA… --add-delegate ann=ann-2.pub",
		cannot:  "propose the next version", exits: trustExits,
		run: a.projectUpdate, text: printIdentityResult,
	}.command(a)
}

func (a *app) projectUpdate(ctx context.Context, args projectUpdateArgs) (git.IdentityResult, error) {
	from, err := a.shownIdentity(ctx, args.Project)
	if err != nil {
		return git.IdentityResult{}, err
	}
	identity, err := project.VerifyChain(from.Documents)
	if err != nil {
		return git.IdentityResult{}, err
	}
	document, err := a.nextIdentity(ctx, "update", identity, identity.Spec(), args.projectChange)
	if err != nil {
		return git.IdentityResult{}, err
	}
	return askGitd(ctx, a, git.ProposeIdentity, git.ProposeArgs{Project: string(from.URN), Document: document})
}

// nextIdentity applies a change to spec and signs what becomes of it, for a verb.
func (a *app) nextIdentity(ctx context.Context, verb string, identity project.Identity, spec project.Spec, change projectChange) ([]byte, error) {
	spec, err := change.apply(spec)
	if err != nil {
		return nil, err
	}
	root, err := identity.Next(spec)
	if err != nil {
		return nil, err
	}
	root, err = a.signRoot(ctx, verb, root, identity.Newest(), delegating(identity.URN))
	if err != nil {
		return nil, err
	}
	return root.Bytes(), nil
}

func projectOverride(a *app) *cobra.Command {
	return verb[projectUpdateArgs, git.IdentityResult]{
		name: "override", short: "replace the version that waits for signatures",
		long: `Override applies the changes that the flags name to the version that waits for signatures, signs the result with every key that counts
and that your agent holds, and puts it in place of what waits. The signatures collected so far are dropped. If somebody replaced it
meanwhile, nothing happens and the exit status is 5.

` + trustKeyHelp,
		cannot: "replace the version that waits", exits: trustExits,
		run: a.projectOverride, text: printIdentityResult,
	}.command(a)
}

func (a *app) projectOverride(ctx context.Context, args projectUpdateArgs) (git.IdentityResult, error) {
	from, err := a.shownIdentity(ctx, args.Project)
	if err != nil {
		return git.IdentityResult{}, err
	}
	identity, shown, err := readIdentity(from)
	if err != nil {
		return git.IdentityResult{}, err
	}
	spec, err := project.SpecOf(shown.document.(*trust.Root))
	if err != nil {
		return git.IdentityResult{}, err
	}
	document, err := a.nextIdentity(ctx, "override", identity, spec, args.projectChange)
	if err != nil {
		return git.IdentityResult{}, err
	}
	return askGitd(ctx, a, git.OverrideIdentity, git.OverrideArgs{Project: string(from.URN), Document: document, Match: shown.Pending.Digest})
}

func projectCancel(a *app) *cobra.Command {
	return verb[projectArg, git.IdentityResult]{
		name: "cancel", short: "give up the version that waits for signatures",
		long:   "Cancel drops the version that waits for signatures, with those collected so far. The identity stays as it is.",
		cannot: "give up the version that waits", exits: trustExits,
		run: func(ctx context.Context, args projectArg) (git.IdentityResult, error) {
			which, err := a.projectArgs(ctx, args.Project)
			if err != nil {
				return git.IdentityResult{}, err
			}
			return askGitd(ctx, a, git.CancelIdentity, git.CancelArgs{Project: which.Project})
		},
		text: printIdentityResult,
	}.command(a)
}
