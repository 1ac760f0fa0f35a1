package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/trust"
)

func projectCommand(a *app) *cobra.Command {
	return noun("project", "look at the projects that are stored here, and change who speaks for them",
		`A project is a git repository with an identity document that says who speaks for it. Each peer's refs in it are signed.
Those who speak for it, its delegates, change that document together: each signs, with the key in their own ssh-agent and when they
have time, and it takes a threshold of the old delegates and of the new.
PROJECT is a URN, rad:z…; inside a repository that lnk init or lnk clone made it may be left out.`,
		projectList(a), projectShow(a), projectRefs(a), projectVerify(a),
		projectUpdate(a), projectSign(a), projectOverride(a), projectCancel(a), projectExport(a), projectImport(a))
}

// gitd returns a client of the gitd of the profile in use; nothing is sent yet.
func (a *app) gitd() (*ipc.Client, profile.Profile, error) {
	dirs, p, err := a.current()
	if err != nil {
		return nil, p, err
	}
	client, err := a.client(dirs.Socket("gitd", p.Peer))
	return client, p, err
}

// askGitd calls one method of gitd.
func askGitd[A, R any](ctx context.Context, a *app, method ipc.Unary[A, R], args A) (result R, err error) {
	client, _, err := a.gitd()
	if err != nil {
		return result, err
	}
	defer client.Close()
	return method.Call(ctx, client, args)
}

type projectArg struct {
	Project string `arg:"[PROJECT]"`
}

// target reads a PROJECT argument; an empty one means the project that the current repository belongs to.
func (a *app) target(ctx context.Context, text string) (transport.Target, error) {
	if text == "" {
		url, err := a.gitOutput(ctx, "remote", "get-url", remoteName)
		if err != nil {
			return transport.Target{}, ipc.Errorf(ipc.BadRequest, "no PROJECT given, and the current folder has no remote %q", remoteName).
				WithHint("lnk project list shows the projects that are stored here")
		}
		text = url
	}
	target, err := transport.ParseTarget(strings.TrimPrefix(text, transport.Scheme))
	if err != nil {
		return target, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	return target, nil
}

func (a *app) projectArgs(ctx context.Context, text string) (git.ProjectArgs, error) {
	target, err := a.target(ctx, text)
	return git.ProjectArgs{Project: transport.Target{Project: target.Project}.String()}, err
}

var projectExits = []int{exitNotFound, exitUnavailable, exitDeadline}

func projectList(a *app) *cobra.Command {
	return verb[none, git.ProjectsResult]{
		name:   "list",
		short:  "list the projects that are stored here",
		long:   "List prints every project with its name and default branch. Projects that cannot be read are named, too, and make the status 3.",
		cannot: "list the projects",
		exits:  []int{exitPartial, exitNotFound, exitUnavailable, exitDeadline},
		run: func(ctx context.Context, _ none) (git.ProjectsResult, error) {
			result, err := askGitd(ctx, a, git.Projects, ipc.Empty{})
			if err == nil && len(result.Broken) > 0 {
				err = &exitError{status: exitPartial, message: "cannot read " + count(len(result.Broken), "project"), withResult: true}
			}
			return result, err
		},
		text: func(w io.Writer, r git.ProjectsResult) error {
			return table(w, "PROJECT\tNAME\tBRANCH\tHEAD", func(row func(...any)) {
				for _, p := range r.Projects {
					row(p.URN, p.Name, p.DefaultBranch, shortOID(p.Head))
				}
				for _, b := range r.Broken {
					row(b.URN, "broken: "+b.Problem)
				}
			})
		},
	}.command(a)
}

func shortOID(oid project.OID) string {
	if oid.IsZero() {
		return "-"
	}
	return oid.String()[:12]
}

func projectShow(a *app) *cobra.Command {
	return verb[projectArg, projectShown]{
		name:  "show",
		short: "show a project's identity, and what waits for its delegates' signatures",
		long: `Show prints what the project's identity document says, and the commit that its delegates agree on. If a next version waits for
signatures it says in words what that changes, who has signed it, who is missing, and whose signature each agent here could add.`,
		cannot: "show the project",
		exits:  projectExits,
		run:    a.projectShown,
		text:   printProject,
	}.command(a)
}

// projectShown is a project with what waits for signatures.
type projectShown struct {
	git.Project
	Names map[peer.ID]string `json:"names,omitempty" cbor:"10,keyasint,omitempty"` // of delegates
	Next  *trustShown        `json:"next,omitempty" cbor:"11,keyasint,omitempty"`
}

func (a *app) projectShown(ctx context.Context, args projectArg) (projectShown, error) {
	which, err := a.projectArgs(ctx, args.Project)
	if err != nil {
		return projectShown{}, err
	}
	p, err := askGitd(ctx, a, git.Show, which)
	if err != nil {
		return projectShown{}, err
	}
	if time.Now().After(p.Expires) {
		a.note("the identity document has expired: its delegates should sign a new version, lnk project update --days 1825")
	}
	from, err := a.shownIdentity(ctx, which.Project)
	if err != nil {
		return projectShown{}, err
	}
	identity, err := project.VerifyChain(from.Documents)
	if err != nil {
		return projectShown{}, err
	}
	shown := projectShown{Project: p, Names: identity.Spec().Names}
	if from.Pending != nil {
		_, next, err := readIdentity(from)
		if err != nil {
			return shown, err
		}
		next.Here = a.signingAgents(ctx, next.Pending)
		shown.Next = &next
	}
	return shown, nil
}

func printProject(w io.Writer, p projectShown) error {
	err := table(w, "urn\t"+string(p.URN), func(row func(...any)) {
		row("name", p.Name)
		row("description", p.Description)
		row("branch", p.DefaultBranch)
		row("head", shortOID(p.Head))
		row("version", p.Version)
		row("expires", p.Expires.Format(time.DateOnly))
		for _, id := range p.Delegates {
			row("delegate", called(trust.Signer{Peer: id, Name: p.Names[id]}))
		}
		row("threshold", p.Threshold)
		for _, id := range p.Peers {
			row("peer", id)
		}
	})
	if err != nil || p.Next == nil {
		return err
	}
	return printShown(w, *p.Next)
}

type projectRefsArgs struct {
	Project string `arg:"[PROJECT]"`
	Peer    string `json:"peer" help:"whose refs (default: the profile's)"`
}

// refsArgs reads the arguments that refs and verify share.
func (a *app) refsArgs(ctx context.Context, args projectRefsArgs) (git.RefsArgs, error) {
	target, err := a.target(ctx, args.Project)
	if err != nil {
		return git.RefsArgs{}, err
	}
	if args.Peer != "" {
		id, err := a.peerOf(args.Peer)
		if err != nil {
			return git.RefsArgs{}, err
		}
		target.Peer = string(id)
	}
	return git.RefsArgs{Project: transport.Target{Project: target.Project}.String(), Peer: target.Peer}, nil
}

func projectRefs(a *app) *cobra.Command {
	return verb[projectRefsArgs, git.RefsResult]{
		name:   "refs",
		short:  "list the signed refs of a peer",
		long:   "Refs prints the newest set of refs that a peer, by default the profile's, has signed in the project.",
		cannot: "list the refs",
		exits:  projectExits,
		run: func(ctx context.Context, args projectRefsArgs) (git.RefsResult, error) {
			which, err := a.refsArgs(ctx, args)
			if err != nil {
				return git.RefsResult{}, err
			}
			client, _, err := a.gitd()
			if err != nil {
				return git.RefsResult{}, err
			}
			defer client.Close()
			return git.SignedRefs(ctx, client, which)
		},
		text: func(w io.Writer, r git.RefsResult) error {
			for _, ref := range r.Refs {
				if _, err := fmt.Fprintf(w, "%s %s\n", ref.OID, ref.Name); err != nil {
					return err
				}
			}
			return nil
		},
	}.command(a)
}

func projectVerify(a *app) *cobra.Command {
	return verb[projectRefsArgs, git.VerifyResult]{
		name:  "verify",
		short: "verify every signature of a project",
		long: `Verify checks the chain of identity documents, every set of refs that the peer, by default the profile's, has signed, back
to the first, and that the refs are where they were signed to be. It needs no key. It ends with status 1 if anything is wrong.`,
		cannot: "verify the project",
		exits:  projectExits,
		run: func(ctx context.Context, args projectRefsArgs) (git.VerifyResult, error) {
			which, err := a.refsArgs(ctx, args)
			if err != nil {
				return git.VerifyResult{}, err
			}
			result, err := askGitd(ctx, a, git.Verify, which)
			if err == nil && len(result.Faults) > 0 {
				err = &exitError{status: exitFailure, message: "the project is not as it was signed: " + countFaults(result), withResult: true}
			}
			return result, err
		},
		text: printVerified,
	}.command(a)
}

func countFaults(r git.VerifyResult) string { return "found " + count(len(r.Faults), "fault") }

func printVerified(w io.Writer, r git.VerifyResult) error {
	for _, f := range r.Faults {
		if _, err := fmt.Fprintf(w, "FAULT in %s: %s\n", strings.TrimSpace(f.Part+" "+f.Ref), f.Message); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "verified %s of %s and %s\n", count(r.Verified, "signature"), r.Peer, count(r.Refs, "ref"))
	return err
}
