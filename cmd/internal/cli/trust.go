package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

func trustCommand(a *app) *cobra.Command {
	return noun("trust", "keep repositories of trusted metadata that a quorum of people signs",
		`A repository tells clients which files to trust (The Update Framework). Its root is signed by people, each with the key in
their own ssh-agent and when they have time; everything else is signed by the daemon with an online key, which an
ssh-agent holds as well. Nothing is published before enough people have signed it.`,
		trustInit(a), trustList(a), trustStatus(a), trustArtifacts(a), trustShow(a), trustSign(a), trustUpdate(a), trustOverride(a), trustCancel(a),
		trustAdd(a), trustRemove(a), trustPublish(a), trustDelegate(a), trustUndelegate(a), trustRenew(a), trustExport(a), trustImport(a),
		trustVerify(a), trustClient(a))
}

// repositoryArgs names a repository on the command line.
type repositoryArgs struct {
	Repository string `json:"repository" short:"r" help:"the repository with this <NAME>"`
}

var usualRepository = repositoryArgs{Repository: trust.DefaultRepository}

// trustExits is what commands that have people sign may return.
var trustExits = []int{exitNotFound, exitConflict, exitUnavailable, exitNoKey, exitNotPermitted, exitDeadline}

// longLimit is how long trustd may take for a change: thousands of signatures, an agent that asks a person for each, or the copy of
// a large file; and for a long list. Other questions are answered within the usual time of a call.
const longLimit = 10 * time.Minute

// askTrust runs one call to trustd.
func askTrust[A, R any](ctx context.Context, a *app, method ipc.Unary[A, R], args A) (result R, err error) {
	client, err := a.dial("trust")
	if err != nil {
		return result, err
	}
	defer client.Close()
	if method.Access == ipc.Change {
		var cancel context.CancelFunc
		ctx, cancel, err = allowTime(ctx, client)
		defer cancel()
		if err != nil {
			return result, err
		}
	}
	return method.Call(ctx, client, args)
}

// allowTime gives a call longLimit, if trustd answers: one that cannot even start is not waited for as long.
func allowTime(ctx context.Context, client *ipc.Client) (context.Context, context.CancelFunc, error) {
	_, err := ipc.Ping.Call(ctx, client, ipc.Empty{})
	ctx, cancel := context.WithTimeout(ctx, longLimit)
	return ctx, cancel, err
}

func (a *app) agentPath() string { return a.Getenv("SSH_AUTH_SOCK") }

func trustList(a *app) *cobra.Command {
	return verb[none, trust.RepositoriesResult]{
		name: "list", short: "list the repositories that are kept here", long: "List prints the name of every repository. Where one stands, lnk trust status -r NAME tells.",
		cannot: "list the repositories", exits: []int{exitNotFound, exitUnavailable, exitNotPermitted, exitDeadline},
		run: func(ctx context.Context, _ none) (trust.RepositoriesResult, error) {
			return askTrust(ctx, a, trust.Repositories, ipc.Empty{})
		},
		text: func(w io.Writer, r trust.RepositoriesResult) error {
			for _, name := range r.Repositories {
				if _, err := fmt.Fprintln(w, name); err != nil {
					return err
				}
			}
			return nil
		},
	}.command(a)
}

func trustStatus(a *app) *cobra.Command {
	return verb[repositoryArgs, trust.StatusResult]{
		name: "status", short: "tell where a repository stands", long: "Status lists what is published, until when it is good, and what waits for whose signature.",
		cannot: "tell where the repository stands", exits: trustExits, defaults: usualRepository,
		run: func(ctx context.Context, args repositoryArgs) (trust.StatusResult, error) {
			return askTrust(ctx, a, trust.Status, trust.RepositoryArgs{Repository: args.Repository})
		},
		text: printTrustStatus,
	}.command(a)
}

func printTrustStatus(w io.Writer, s trust.StatusResult) error {
	fmt.Fprintf(w, "repository %s in %s: bootstrap %s\n", s.Repository, s.Folder, strings.ToLower(s.State))
	if s.Staged > 0 {
		fmt.Fprintf(w, "%s of artifacts staged: %s\n", count(s.Staged, "change"), trust.CommandLine(s.Repository, "publish", ""))
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
		if err := printKeys(w, s.Root); err != nil {
			return err
		}
	}
	for _, d := range s.Delegated {
		printDelegation(w, d)
	}
	for _, p := range s.Pending {
		printPending(w, p, trust.CommandLine(s.Repository, "publish", ""))
	}
	return nil
}

// printKeys tells whose keys a root document names.
func printKeys(w io.Writer, data []byte) error {
	root, err := trust.ParseRoot(data)
	if err != nil {
		return err
	}
	signers := func(role trust.Role) (list []trust.Signer) {
		for _, k := range role.Keys {
			if id, err := peer.FromPublicKey(k.Public); err == nil { // always: keys are checked on admission
				list = append(list, trust.Signer{Peer: id, Name: root.Names()[k.ID]})
			}
		}
		return list
	}
	people := root.Role(trust.RoleRoot)
	fmt.Fprintf(w, "root is signed by %d of %s\n", people.Threshold, namesOf(signers(people)))
	_, err = fmt.Fprintf(w, "the online key is %s\n", namesOf(signers(root.Role(trust.RoleTimestamp))))
	return err
}

// partly is the error of a request that could be done for some of what it was about, and refused for others. If it was not done for
// any, err is all there is to say.
func partly(r trust.Result, err error) error {
	if len(r.Done) == 0 {
		return err
	}
	return &exitError{status: exitPartial, message: err.Error(), withResult: true}
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
	case len(r.Done) == 1:
		what = "done: " + r.Done[0]
	}
	for _, name := range r.Refused {
		fmt.Fprintf(w, "refused: %s\n", name)
	}
	_, err := fmt.Fprintln(w, what)
	return err
}
