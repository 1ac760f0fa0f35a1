package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/trust"
)

// delegating is the purpose of a delegate's signature.
func delegating(urn project.URN) purpose {
	return purpose{"lnk project", "identity", func(verb string) string { return "lnk project " + verb + " " + string(urn) }}
}

// readIdentity verifies an identity from its first version on, which the URN names, and parses what waits for signatures. All
// that is shown, and the bytes that are signed, come from these documents: neither a daemon nor a file is believed.
func readIdentity(from git.Identity) (project.Identity, trustShown, error) {
	identity, err := project.VerifyChain(from.Documents)
	if err != nil {
		return identity, trustShown{}, err
	}
	if identity.URN != from.URN {
		return identity, trustShown{}, ipc.Errorf(ipc.Corrupt, "these are the documents of project %s, not of %.80q", identity.URN, from.URN)
	}
	if from.Next == nil || from.Pending == nil {
		return identity, trustShown{}, ipc.Errorf(ipc.NotFound, "no next version of project %s waits for signatures", identity.URN).
			WithHint("propose one with lnk project update")
	}
	process, err := identity.Signing(from.Next)
	if err != nil {
		return identity, trustShown{}, err
	}
	if version := process.Document().Version(); version != process.Next() {
		return identity, trustShown{}, ipc.Errorf(ipc.Conflict, "version %d waits for signatures, and after version %d comes %d", version, identity.Version, process.Next())
	}
	shown := trustShown{Metadata: string(from.Next), document: process.Document(), why: delegating(identity.URN)}
	shown.Changes = identity.Changes(process.Document().(*trust.Root))
	shown.Pending = project.Desk{Process: process, Since: from.Pending.Since}.Pending()
	return identity, shown, nil
}

// shownIdentity asks gitd for it.
func (a *app) shownIdentity(ctx context.Context, text string) (git.Identity, error) {
	which, err := a.projectArgs(ctx, text)
	if err != nil {
		return git.Identity{}, err
	}
	shown, err := askGitd(ctx, a, git.ShowIdentity, which)
	if err == nil && string(shown.URN) != which.Project {
		err = ipc.Errorf(ipc.Corrupt, "asked for project %s, the daemon answered with %.80q", which.Project, shown.URN)
	}
	return shown, err
}

type projectSignArgs struct {
	projectArg
	Yes bool   `json:"yes" help:"do not ask"`
	In  string `json:"in" help:"sign what lnk project export has written to <FILE>, - for standard input; no daemon is needed"`
	Out string `json:"out" help:"with --in, write the signatures to <FILE> instead of standard output"`
}

func projectSign(a *app) *cobra.Command {
	return action[projectSignArgs]{
		name: "sign", short: "sign the next version of a project's identity, after looking at it",
		long: `Sign shows what the version that waits for signatures changes, asks, and then signs exactly that with every key that is missing and
that your agent holds. If it was replaced while you looked, nothing is added. The last signature that was missing makes it the
project's identity.`,
		example: "  lnk project sign\n  lnk project sign --in pending.json --out signed.json   # on another machine",
		cannot:  "sign", exits: append([]int{exitInterrupted}, trustExits...),
		run: a.projectSign,
	}.command(a)
}

func (a *app) projectSign(ctx context.Context, args projectSignArgs) error {
	from, err := a.identityToSign(ctx, args)
	if err != nil {
		return err
	}
	identity, shown, err := readIdentity(from)
	if err != nil {
		return err
	}
	signatures, err := a.signShown(ctx, shown, args.Yes)
	if err != nil {
		return err
	}
	file := identitySignatures{identity.URN, signatureFile{shown.Pending.Role, shown.Pending.Digest, signatures}}
	if args.In != "" {
		return a.writeJSON(args.Out, file)
	}
	result, err := a.bringToProject(ctx, file)
	if err != nil {
		return err
	}
	return printResult(a, result, printIdentityResult)
}

func (a *app) identityToSign(ctx context.Context, args projectSignArgs) (from git.Identity, err error) {
	if args.In == "" {
		return a.shownIdentity(ctx, args.Project)
	}
	err = a.readJSON(args.In, &from)
	if err == nil && (from.URN == "" || len(from.Documents) == 0) {
		err = ipc.Errorf(ipc.BadRequest, "%s is not what lnk project export writes", args.In)
	}
	return from, err
}

// identitySignatures is what a delegate on another machine gives back.
type identitySignatures struct {
	Project project.URN `json:"project"`
	signatureFile
}

// bringToProject hands in signatures, until they are enough.
func (a *app) bringToProject(ctx context.Context, file identitySignatures) (result git.IdentityResult, err error) {
	for _, s := range file.Signatures {
		result, err = askGitd(ctx, a, git.SignIdentity, git.SignArgs{Project: string(file.Project), KeyID: s.KeyID, Signature: s.Sig, Match: file.Digest})
		if err != nil || result.Complete {
			break
		}
	}
	return result, err
}

// printIdentityResult tells what became of a step.
func printIdentityResult(w io.Writer, r git.IdentityResult) error {
	what := "is given up"
	switch {
	case r.Complete:
		what = "is the project's identity now"
	case r.Waits:
		what = "waits for signatures, digest " + r.Digest
	}
	_, err := fmt.Fprintf(w, "identity version %d %s\n", r.Version, what)
	return err
}

type projectExportArgs struct {
	projectArg
	Out string `json:"out" help:"write to <FILE> instead of standard output"`
}

func projectExport(a *app) *cobra.Command {
	return action[projectExportArgs]{
		name: "export", short: "write what waits for signatures to a file, for a delegate on another machine",
		long: `Export writes the project's identity and the version that waits for signatures to a file. Where the key is, lnk project sign --in FILE
verifies the whole, shows what changes, asks and signs it; the signature comes back with lnk project import. Neither step there needs
a daemon, a network or the project.`,
		example: "  lnk project export --out pending.json\n  lnk project sign --in pending.json --out signed.json   # elsewhere\n  lnk project import signed.json",
		cannot:  "export", exits: trustExits,
		run: func(ctx context.Context, args projectExportArgs) error {
			from, err := a.shownIdentity(ctx, args.Project)
			if err != nil {
				return err
			}
			if _, _, err := readIdentity(from); err != nil {
				return err
			}
			return a.writeJSON(args.Out, from)
		},
	}.command(a)
}

type projectImportArgs struct {
	File string `arg:"[FILE]"`
}

func projectImport(a *app) *cobra.Command {
	return verb[projectImportArgs, git.IdentityResult]{
		name: "import", short: "add signatures from a file",
		long: `Import adds the signatures that lnk project sign --out has written on another machine. Without FILE it reads standard input. If another
version waits by now than what was signed, nothing is added.`,
		cannot: "import", exits: trustExits, defaults: projectImportArgs{File: "-"},
		run: func(ctx context.Context, args projectImportArgs) (git.IdentityResult, error) {
			var file identitySignatures
			if err := a.readJSON(args.File, &file); err != nil {
				return git.IdentityResult{}, err
			}
			if file.Project == "" || len(file.Signatures) == 0 {
				return git.IdentityResult{}, ipc.Errorf(ipc.BadRequest, "%s is not what lnk project sign --out writes", args.File)
			}
			return a.bringToProject(ctx, file)
		},
		text: printIdentityResult,
	}.command(a)
}
