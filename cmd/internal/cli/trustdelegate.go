package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

type trustDelegateArgs struct {
	repositoryArgs
	Role        string   `arg:"ROLE"`
	Paths       []string `json:"path" help:"a <PATTERN> of paths of artifacts that the role may speak for; * stops at a slash"`
	Keys        []string `json:"key" help:"a <KEY> that signs the role; give one for each person. None: the online key"`
	Threshold   int      `json:"threshold" help:"how many of them it takes"`
	Terminating bool     `json:"terminating" help:"clients look no further for these paths"`
	Days        int      `json:"days" help:"for how many days versions of the role are good; 0: as targets"`
	Deadline    deadline `json:"deadline" help:"drop the proposal if people have not signed within this <TIME>, e.g. 168h or 7d, or by this date"`
}

func trustDelegate(a *app) *cobra.Command {
	return verb[trustDelegateArgs, trust.Result]{
		name: "delegate", short: "leave some paths to a role",
		long: `Delegate lets ROLE speak for the artifacts whose paths match, or changes what it has. A role that people sign is there for clients once
a threshold of its keys has signed its first version, or the next one if its keys or threshold change: lnk trust sign ROLE. A
repository with hash bins has no other roles: begin it with --bins 0.

` + trustKeyHelp,
		example: "  lnk trust delegate docs --path 'docs/*' --key ann=z6MkA… --key ben=ben.pub --threshold 2\n  lnk trust delegate nightly --path 'nightly/*'",
		cannot:  "delegate", exits: trustExits, defaults: trustDelegateArgs{repositoryArgs: usualRepository, Threshold: 1},
		run: a.trustDelegate, text: printTrustResult,
	}.command(a)
}

func (a *app) trustDelegate(ctx context.Context, args trustDelegateArgs) (trust.Result, error) {
	d := trust.Delegation{
		Name: args.Role, Threshold: args.Threshold, Paths: args.Paths, Terminating: args.Terminating, Days: args.Days, Names: map[peer.ID]string{},
	}
	if len(args.Paths) == 0 {
		return trust.Result{}, ipc.Errorf(ipc.BadRequest, "--path is needed").WithHint("lnk trust delegate --help")
	}
	for _, text := range args.Keys {
		key, name, err := readTrustKey(text)
		if err != nil {
			return trust.Result{}, err
		}
		id, err := peer.FromPublicKey(key.Public)
		if err != nil {
			return trust.Result{}, err
		}
		d.Peers = append(d.Peers, id)
		if name != "" {
			d.Names[id] = name
		}
	}
	return askTrust(ctx, a, trust.Delegate, trust.DelegateArgs{
		Repository: args.Repository, Delegations: []trust.Delegation{d}, Deadline: args.Deadline.end(), Agent: a.agentPath(),
	})
}

// printDelegation says what is left to whom.
func printDelegation(w io.Writer, d trust.Delegation) {
	by := "the online key"
	if len(d.Peers) > 0 {
		signers := make([]trust.Signer, len(d.Peers))
		for i, id := range d.Peers {
			signers[i] = trust.Signer{Peer: id, Name: d.Names[id]}
		}
		by = fmt.Sprintf("%d of %s", d.Threshold, namesOf(signers))
	}
	paths := make([]string, len(d.Paths))
	for i, path := range d.Paths {
		paths[i] = strconv.Quote(path)
	}
	fmt.Fprintf(w, "%s speaks for %s, signed by %s\n", d.Name, strings.Join(paths, ", "), by)
}

type trustUndelegateArgs struct {
	repositoryArgs
	Roles []string `arg:"ROLE..."`
}

func trustUndelegate(a *app) *cobra.Command {
	return verb[trustUndelegateArgs, trust.Result]{
		name: "undelegate", short: "take the paths back from roles",
		long:   "Undelegate takes what is left to each ROLE back, and ends what is pending for it: clients trust its artifacts no longer.",
		cannot: "take the paths back", exits: append(slices.Clone(trustExits), exitPartial), defaults: trustUndelegateArgs{repositoryArgs: usualRepository},
		run: func(ctx context.Context, args trustUndelegateArgs) (trust.Result, error) {
			result, err := askTrust(ctx, a, trust.Undelegate, trust.UndelegateArgs{Repository: args.Repository, Roles: args.Roles, Agent: a.agentPath()})
			if err == nil && len(result.Refused) > 0 {
				err = partly(result, ipc.Errorf(ipc.NotFound, "nothing is left to %s", strings.Join(result.Refused, ", ")).
					WithHint(trust.CommandLine(args.Repository, "status", "")+" lists the roles"))
			}
			return result, err
		},
		text: printTrustResult,
	}.command(a)
}

type trustRenewArgs struct {
	repositoryArgs
	Roles    []string `arg:"[ROLE...]"`
	Deadline deadline `json:"deadline" help:"drop the proposals if people have not signed within this <TIME>, e.g. 168h or 7d, or by this date"`
}

func trustRenew(a *app) *cobra.Command {
	return verb[trustRenewArgs, trust.Result]{
		name: "renew", short: "make new versions of roles that say the same and expire later",
		long: `Renew makes new versions of each ROLE, or of all that are signed online if none is given. Those are renewed in time by themselves; the
next version of a role that people sign waits for them: lnk trust sign ROLE. The next version of root is made by lnk trust update.`,
		cannot: "renew", exits: trustExits, defaults: trustRenewArgs{repositoryArgs: usualRepository},
		run: func(ctx context.Context, args trustRenewArgs) (trust.Result, error) {
			return askTrust(ctx, a, trust.Force, trust.ForceArgs{Repository: args.Repository, Roles: args.Roles, Deadline: args.Deadline.end(), Agent: a.agentPath()})
		},
		text: printTrustResult,
	}.command(a)
}

// deadline is a moment on the command line: from now on (48h, 7d), or a date with or without a time of day (in UTC).
type deadline struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *deadline) UnmarshalText(text []byte) error {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, string(text)); err == nil {
			d.Time = t.UTC()
			return nil
		}
	}
	within, err := parseSpan(string(text))
	if err != nil || within <= 0 {
		return errors.New("want a time from now such as 48h or 7d, or a date such as 2030-01-31")
	}
	d.Time = time.Now().Add(within).UTC().Truncate(time.Second)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d deadline) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return d.AppendFormat(nil, time.RFC3339), nil
}

// end is nil if there is none.
func (d deadline) end() *time.Time {
	if d.IsZero() {
		return nil
	}
	return &d.Time
}
