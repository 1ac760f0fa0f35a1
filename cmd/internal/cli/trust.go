package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

func trustCommand(a *app) *cobra.Command {
	return noun("trust", "keep repositories of trusted metadata that a quorum of people signs",
		`A repository tells clients which files to trust (The Update Framework). Its root is signed by people, each with the key in
their own ssh-agent and when they have time; everything else is signed by the daemon with an online key, which an
ssh-agent holds as well. Nothing is published before enough people have signed it.`,
		trustInit(a), trustStatus(a), trustShow(a), trustSign(a), trustUpdate(a), trustOverride(a), trustCancel(a),
		trustAdd(a), trustRemove(a), trustPublish(a), trustExport(a), trustImport(a), trustVerify(a), trustClient(a))
}

// repositoryArgs names a repository on the command line.
type repositoryArgs struct {
	Repository string `json:"repository" short:"r" help:"the repository with this <NAME>"`
}

var usualRepository = repositoryArgs{Repository: trust.DefaultRepository}

// trustExits is what commands of lnk trust may return.
var trustExits = []int{exitNotFound, exitConflict, exitUnavailable, exitNoKey}

// withTrust runs one call to trustd.
func withTrust[R any](a *app, f func(*ipc.Client) (R, error)) (R, error) {
	client, err := a.dial("trust")
	if err != nil {
		var none R
		return none, err
	}
	defer client.Close()
	return f(client)
}

func (a *app) agentPath() string { return a.Getenv("SSH_AUTH_SOCK") }

func trustStatus(a *app) *cobra.Command {
	return verb[repositoryArgs, trust.StatusResult]{
		name: "status", short: "tell where a repository stands", long: "Status lists what is published, until when it is good, and what waits for whose signature.",
		cannot: "tell where the repository stands", exits: trustExits, defaults: usualRepository,
		run: func(ctx context.Context, args repositoryArgs) (trust.StatusResult, error) {
			return withTrust(a, func(c *ipc.Client) (trust.StatusResult, error) {
				return trust.Status.Call(ctx, c, trust.RepositoryArgs{Repository: args.Repository})
			})
		},
		text: printTrustStatus,
	}.command(a)
}

func printTrustStatus(w io.Writer, s trust.StatusResult) error {
	fmt.Fprintf(w, "repository %s in %s: bootstrap %s\n", s.Repository, s.Folder, strings.ToLower(s.State))
	if s.Staged > 0 {
		fmt.Fprintf(w, "%d changes of artifacts wait for lnk trust publish\n", s.Staged)
	}
	if len(s.Roles) > 0 {
		err := table(w, "ROLE\tVERSION\tEXPIRES\tSIGNED BY", func(row func(...any)) {
			for _, r := range s.Roles {
				by := "the online key"
				if r.People {
					by = "people"
				}
				row(r.Role, r.Version, r.Expires.Format(time.RFC3339), by)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, p := range s.Pending {
		printPending(w, p)
	}
	return nil
}

func printPending(w io.Writer, p trust.PendingRole) {
	fmt.Fprintf(w, "%s version %d waits for signatures since %s, digest %s\n", p.Role, p.Version, p.Since.Format(time.RFC3339), p.Digest)
	if p.Deadline != nil {
		fmt.Fprintf(w, "  it is dropped on %s\n", p.Deadline.Format(time.RFC3339))
	}
	fmt.Fprintf(w, "  %d signatures of the new keys are needed", p.Needed)
	if p.Before > 0 {
		fmt.Fprintf(w, ", and %d of the old", p.Before)
	}
	fmt.Fprintln(w)
	for _, s := range p.Signers {
		mark, which := "missing", "new"
		if s.Signed {
			mark = "signed "
		}
		switch {
		case s.Old && s.New:
			which = "both"
		case s.Old:
			which = "old"
		}
		fmt.Fprintf(w, "  %s  %s  (%s)\n", mark, s.Peer, which)
	}
}

type trustRoleArgs struct {
	repositoryArgs
	Role string `arg:"[ROLE]"`
}

// trustShown is a pending document with what it changes, in words.
type trustShown struct {
	Pending  trust.PendingRole `json:"pending" cbor:"0,keyasint"`
	Changes  []string          `json:"changes" cbor:"1,keyasint"`
	Here     []string          `json:"here" cbor:"2,keyasint"` // keys that could sign and that the caller's agent holds
	Metadata string            `json:"metadata" cbor:"3,keyasint"`

	document trust.Document
}

func trustShow(a *app) *cobra.Command {
	return verb[trustRoleArgs, trustShown]{
		name: "show", short: "show what waits for signatures: what changes, who signed, who is missing",
		long:   "Show says in words what the pending version of ROLE (root if not given) changes, who has signed it, who is missing, and whose\nsignature the agent here could add.",
		cannot: "show what is pending", exits: trustExits, defaults: trustRoleArgs{repositoryArgs: usualRepository},
		run:  a.trustShown,
		text: printShown,
	}.command(a)
}

func printShown(w io.Writer, s trustShown) error {
	printPending(w, s.Pending)
	fmt.Fprintln(w, "it says:")
	for _, line := range s.Changes {
		fmt.Fprintln(w, "  "+line)
	}
	for _, id := range s.Here {
		fmt.Fprintf(w, "your agent could sign as %s: lnk trust sign\n", id)
	}
	return nil
}

func (a *app) trustShown(ctx context.Context, args trustRoleArgs) (trustShown, error) {
	shown, err := withTrust(a, func(c *ipc.Client) (trust.ShowResult, error) {
		return trust.Show.Call(ctx, c, trust.RoleArgs{Repository: args.Repository, Role: args.Role})
	})
	if err != nil {
		return trustShown{}, err
	}
	result, err := readShown(shown)
	if err != nil {
		return trustShown{}, err
	}
	for _, s := range a.heldSigners(ctx, shown.Pending) {
		result.Here = append(result.Here, string(s.Peer))
	}
	return result, nil
}

// readShown parses what is to be signed: the words and the bytes that are signed come from the same document.
func readShown(shown trust.ShowResult) (trustShown, error) {
	result := trustShown{Pending: shown.Pending, Metadata: string(shown.Metadata), Here: []string{}}
	if shown.Pending.Role != trust.RoleRoot {
		next, err := trust.ParseTargets(shown.Metadata)
		if err != nil {
			return result, err
		}
		var previous *trust.Targets
		if len(shown.Previous) > 0 {
			if previous, err = trust.ParseTargets(shown.Previous); err != nil {
				return result, err
			}
		}
		result.Changes, result.document = trust.DiffTargets(previous, next), next
		return result, nil
	}
	next, err := trust.ParseRoot(shown.Metadata)
	if err != nil {
		return result, err
	}
	var previous *trust.Root
	if len(shown.Previous) > 0 {
		if previous, err = trust.ParseRoot(shown.Previous); err != nil {
			return result, err
		}
	}
	result.Changes, result.document = trust.DiffRoots(previous, next), next
	return result, nil
}

// heldSigners lists those whose signature is missing and whose key the caller's agent holds.
func (a *app) heldSigners(ctx context.Context, p trust.PendingRole) []trust.Signer {
	agent, err := a.agentOfCurrent(ctx)
	if err != nil {
		return nil
	}
	held, err := agent.List(ctx)
	if err != nil {
		return nil
	}
	var found []trust.Signer
	for _, s := range p.Signers {
		for _, k := range held {
			if k.Peer == s.Peer && !s.Signed {
				found = append(found, s)
			}
		}
	}
	return found
}

// confirm asks a person at the terminal.
func confirm(question string) error {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return ipc.Errorf(ipc.BadRequest, "there is no terminal to ask at").WithHint("--yes answers beforehand")
	}
	defer tty.Close()
	fmt.Fprintf(tty, "%s [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(tty, &answer); err != nil || !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
		return ipc.Errorf(ipc.Cancelled, "you said no")
	}
	return nil
}

// printTrustResult tells what became of a request.
func printTrustResult(w io.Writer, r trust.Result) error {
	what := "done"
	switch {
	case r.Role != "" && r.Complete:
		what = fmt.Sprintf("%s version %d is published", r.Role, r.Version)
	case r.Role != "" && r.Digest != "":
		what = fmt.Sprintf("%s version %d waits for signatures, digest %s", r.Role, r.Version, r.Digest)
	case !r.Complete:
		what = "stored; it is not published yet"
	}
	for _, name := range r.Refused {
		fmt.Fprintf(w, "refused: %s\n", name)
	}
	_, err := fmt.Fprintln(w, what)
	return err
}
