package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/trust"
)

// printPending tells where the signing of a document stands. publish is the command that publishes one that enough have signed.
func printPending(w io.Writer, p trust.PendingRole, publish string) {
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
		fmt.Fprintf(w, "  %s  %s  (%s)\n", mark, called(s), which)
	}
	if p.Complete() {
		fmt.Fprintf(w, "  enough have signed, and it is not published yet: %s\n", publish)
	}
}

// called is a key with the name that the document gives it. The name is quoted: anybody may have chosen it.
func called(s trust.Signer) string {
	if s.Name == "" {
		return string(s.Peer)
	}
	return fmt.Sprintf("%s %q", s.Peer, s.Name)
}

type trustRoleArgs struct {
	repositoryArgs
	Role string `arg:"[ROLE]"`
}

// trustShown is a pending document with what it changes, in words.
type trustShown struct {
	Pending  trust.PendingRole `json:"pending" cbor:"0,keyasint"`
	Changes  []string          `json:"changes" cbor:"1,keyasint"`
	Here     []signingAgent    `json:"here" cbor:"2,keyasint"`
	Metadata string            `json:"metadata" cbor:"3,keyasint"`

	document trust.Document
	why      purpose
}

// purpose is what signatures of a kind of document are for.
type purpose struct {
	command string                   // the noun whose verbs show, sign and so on are about it
	kind    string                   // in the audit log
	line    func(verb string) string // what to type for such a verb
}

func trusting(repository, role string) purpose {
	return purpose{"lnk trust", "tuf:" + role, func(verb string) string { return trust.CommandLine(repository, verb, role) }}
}

// signingAgent is an ssh-agent on this machine that holds keys whose signature is missing.
type signingAgent struct {
	Socket  string         `json:"socket" cbor:"0,keyasint"`
	Source  string         `json:"source" cbor:"1,keyasint"`                  // how it was found
	Own     bool           `json:"own,omitempty" cbor:"2,keyasint,omitempty"` // lnk trust sign uses it
	Signers []trust.Signer `json:"signers" cbor:"3,keyasint"`

	agent keys.Agent
}

func trustShow(a *app) *cobra.Command {
	return verb[trustRoleArgs, trustShown]{
		name: "show", short: "show what waits for signatures: what changes, who signed, who is missing",
		long:   "Show says in words what the pending version of ROLE (root if not given) changes, who has signed it, who is missing, and whose\nsignature each agent here could add.",
		cannot: "show what is pending", exits: trustExits, defaults: trustRoleArgs{repositoryArgs: usualRepository},
		run: func(ctx context.Context, args trustRoleArgs) (trustShown, error) {
			shown, err := a.trustShown(ctx, args)
			if err == nil {
				shown.Here = a.signingAgents(ctx, shown.Pending)
			}
			return shown, err
		},
		text: printShown,
	}.command(a)
}

func printShown(w io.Writer, s trustShown) error {
	printDocument(w, s)
	for _, here := range s.Here {
		for _, signer := range here.Signers {
			if here.Own {
				fmt.Fprintf(w, "your agent could sign as %s: %s\n", called(signer), s.why.line("sign"))
			} else {
				fmt.Fprintf(w, "the agent at %s (%s) could sign as %s\n", here.Socket, here.Source, called(signer))
			}
		}
	}
	return nil
}

// printDocument is what people look at before they sign.
func printDocument(w io.Writer, s trustShown) {
	printPending(w, s.Pending, s.why.line("publish"))
	fmt.Fprintln(w, "it says:")
	for _, line := range s.Changes {
		fmt.Fprintln(w, "  "+line)
	}
}

func (a *app) trustShown(ctx context.Context, args trustRoleArgs) (trustShown, error) {
	shown, err := askTrust(ctx, a, trust.Show, trust.RoleArgs{Repository: args.Repository, Role: args.Role})
	if err != nil {
		return trustShown{}, err
	}
	return readShown(args.Repository, shown)
}

// readShown parses what is to be signed: the words and the bytes that are signed come from the same document.
func readShown(repository string, shown trust.ShowResult) (trustShown, error) {
	result := trustShown{Pending: shown.Pending, Metadata: string(shown.Metadata), why: trusting(repository, shown.Pending.Role)}
	var err error
	if shown.Pending.Role == trust.RoleRoot {
		result.document, result.Changes, err = readRoots(shown)
	} else {
		result.document, result.Changes, err = readTargets(shown)
	}
	if err != nil {
		return result, err
	}
	if digest := trust.DigestOf(result.document); digest != shown.Pending.Digest {
		return result, ipc.Errorf(ipc.Corrupt, "the document has the digest %s, not %.64s", digest, shown.Pending.Digest)
	}
	return result, nil
}

func readRoots(shown trust.ShowResult) (trust.Document, []string, error) {
	next, err := trust.ParseRoot(shown.Metadata)
	if err != nil {
		return nil, nil, err
	}
	var previous *trust.Root
	if len(shown.Previous) > 0 {
		if previous, err = trust.ParseRoot(shown.Previous); err != nil {
			return nil, nil, err
		}
	}
	return next, trust.DiffRoots(previous, next), nil
}

func readTargets(shown trust.ShowResult) (trust.Document, []string, error) {
	next, err := trust.ParseTargets(shown.Metadata)
	if err != nil {
		return nil, nil, err
	}
	var previous *trust.Targets
	if len(shown.Previous) > 0 {
		if previous, err = trust.ParseTargets(shown.Previous); err != nil {
			return nil, nil, err
		}
	}
	lines := trust.DiffTargets(previous, next)
	if shown.Leaves != nil {
		lines = append(lines, trust.DiffDelegations(shown.Left, shown.Leaves)...)
	}
	return next, lines, nil
}

// signingAgents lists the agents here that hold keys whose signature is missing, the caller's own first.
func (a *app) signingAgents(ctx context.Context, p trust.PendingRole) []signingAgent {
	list := []signingAgent{}
	own, _ := a.agentOfCurrent(ctx) // without one, others may be there
	for _, agent := range a.agentsHere(ctx) {
		held, err := agent.List(ctx)
		if err != nil {
			continue
		}
		here := signingAgent{Socket: agent.Path, Source: agent.Source, Own: agent.Path == own.Path, agent: agent}
		for _, s := range p.Signers {
			if !s.Signed && slices.ContainsFunc(held, func(k keys.Held) bool { return k.Peer == s.Peer }) {
				here.Signers = append(here.Signers, s)
			}
		}
		if len(here.Signers) > 0 {
			list = append(list, here)
		}
	}
	return list
}

// agentsHere lists the agents that answer: those that commands look for, and those of all profiles.
func (a *app) agentsHere(ctx context.Context) []keys.Agent {
	dirs, current, _ := a.current() // without a profile there is no setting of its own
	candidates := slices.Collect(keys.Candidates(ctx, a.agentSources(current)))
	profiles, _ := dirs.Profiles() // those that are broken are no help, and not in the way
	for _, p := range profiles {
		if p.AgentSocket != "" {
			agent := keys.Agent{Path: p.AgentSocket, Source: "profile " + p.Name, Patience: p.AgentTimeout}
			candidates = append(candidates, keys.Candidate{Agent: agent, Problem: agent.Check(ctx)})
		}
	}
	var list []keys.Agent
	for _, c := range candidates {
		if c.Problem == nil && !slices.ContainsFunc(list, func(o keys.Agent) bool { return o.Path == c.Path }) {
			list = append(list, c.Agent)
		}
	}
	return list
}
