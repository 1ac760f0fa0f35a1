package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

const trustKeyHelp = `A key is a peer id (z6Mk…), an OpenSSH public key, or the path of a .pub file; NAME=KEY says whose it is.`

type trustInitArgs struct {
	repositoryArgs
	Keys      []string `json:"key" help:"a <KEY> that signs root; give one for each person"`
	Threshold int      `json:"threshold" help:"how many of them it takes"`
	Online    string   `json:"online" help:"the <KEY> with which the daemon signs the rest"`
	Days      int      `json:"days" help:"for how many days root and targets are good"`
	Fresh     int      `json:"fresh" help:"for how many days snapshot, timestamp and bins are good; they are renewed by themselves"`
	Bins      int      `json:"bins" help:"number of hash bins that share the artifacts; 0 for none: roles get paths by lnk trust delegate"`
	Deadline  deadline `json:"deadline" help:"drop the whole if it is not signed within this <TIME>, e.g. 168h or 7d, or by this date"`
}

func trustInit(a *app) *cobra.Command {
	return verb[trustInitArgs, trust.Result]{
		name: "init", short: "begin a repository",
		long:    "Init makes the first root, signs it with every key of it that your agent holds, and hands it in. When the threshold is met\nthe repository is published; until then the others see it with lnk trust show and sign it with lnk trust sign.\n\n" + trustKeyHelp,
		example: "  lnk trust init --key ann=z6MkA… --key ben=ben.pub --key eve=z6MkE… --threshold 2 --online online.pub",
		cannot:  "begin the repository", exits: trustExits,
		defaults: trustInitArgs{repositoryArgs: usualRepository, Threshold: 1, Days: 365, Fresh: 1, Bins: 16},
		run:      a.trustInit, text: printTrustResult,
	}.command(a)
}

func (a *app) trustInit(ctx context.Context, args trustInitArgs) (trust.Result, error) {
	spec := trust.RootSpec{Version: 1, Expires: time.Now().AddDate(0, 0, args.Days), Snapshot: true, Roles: map[string]trust.Role{}, Names: map[string]string{}}
	if args.Online == "" || len(args.Keys) == 0 {
		return trust.Result{}, ipc.Errorf(ipc.BadRequest, "--key and --online are needed").WithHint("lnk trust init --help")
	}
	change := rootChange{Add: args.Keys, Threshold: args.Threshold, Online: args.Online}
	root, err := change.apply(spec)
	if err != nil {
		return trust.Result{}, err
	}
	if root, err = a.signRoot(ctx, "init", root, nil, trusting(args.Repository, trust.RoleRoot)); err != nil {
		return trust.Result{}, err
	}
	days := map[string]int{"root": args.Days, "targets": args.Days, "snapshot": args.Fresh, "timestamp": args.Fresh, "bins": args.Fresh}
	return askTrust(ctx, a, trust.Bootstrap, trust.BootstrapArgs{
		Repository: args.Repository, Root: root.Bytes(), Expiration: days, Bins: args.Bins, Deadline: args.Deadline.end(), Agent: a.agentPath(),
	})
}

// rootChange is what a command line wants to be different in root.
type rootChange struct {
	Add       []string `json:"add_key" help:"a <KEY> that shall sign root from now on"`
	Remove    []string `json:"remove_key" help:"a <KEY> that shall not any more"`
	Threshold int      `json:"threshold" help:"how many keys of root it takes; 0 leaves that as it is"`
	Online    string   `json:"online" help:"another <KEY> with which the daemon signs the rest"`
	Days      int      `json:"days" help:"for how many days from now root is good; 0 leaves that as it is"`
}

func (c rootChange) apply(spec trust.RootSpec) (*trust.Root, error) {
	role := spec.Roles[trust.RoleRoot]
	for _, step := range []func(*trust.Role, map[string]string) error{c.remove, c.add} {
		if err := step(&role, spec.Names); err != nil {
			return nil, err
		}
	}
	if c.Threshold != 0 {
		role.Threshold = c.Threshold
	}
	spec.Roles[trust.RoleRoot] = role
	if err := c.goOnline(spec.Roles, spec.Names); err != nil {
		return nil, err
	}
	var err error
	if spec.Expires, err = inDays(c.Days, spec.Expires); err != nil {
		return nil, err
	}
	root, err := trust.NewRoot(spec)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	return root, nil
}

// inDays is the time so many days from now, at most a hundred years; for 0 days it is otherwise.
func inDays(days int, otherwise time.Time) (time.Time, error) {
	switch {
	case days == 0:
		return otherwise, nil
	case days < 0 || days > 36500:
		return otherwise, ipc.Errorf(ipc.BadRequest, "cannot be good for %d days: want 1 to 36500, or 0 to leave that as it is", days)
	}
	return time.Now().AddDate(0, 0, days), nil
}

func (c rootChange) remove(from *trust.Role, names map[string]string) error {
	for _, text := range c.Remove {
		key, _, err := readTrustKey(text)
		if err != nil {
			return err
		}
		i := from.Index(key)
		if i < 0 {
			return ipc.Errorf(ipc.BadRequest, "%s is no key of root", text).WithHint("lnk trust status lists them")
		}
		delete(names, from.Keys[i].ID)
		from.Keys = slices.Delete(from.Keys, i, i+1)
	}
	return nil
}

func (c rootChange) add(to *trust.Role, names map[string]string) error {
	for _, text := range c.Add {
		key, name, err := readTrustKey(text)
		if err != nil {
			return err
		}
		if to.Index(key) >= 0 {
			return ipc.Errorf(ipc.BadRequest, "%s is a key of root already", text)
		}
		to.Keys = append(to.Keys, key)
		if name != "" {
			names[key.ID] = name
		}
	}
	return nil
}

// goOnline gives the roles that the daemon signs to another key.
func (c rootChange) goOnline(roles map[string]trust.Role, names map[string]string) error {
	if c.Online == "" {
		return nil
	}
	key, name, err := readTrustKey(c.Online)
	if err != nil {
		return err
	}
	for _, old := range roles[trust.RoleTimestamp].Keys {
		delete(names, old.ID)
	}
	if name != "" {
		names[key.ID] = name
	}
	for _, role := range []string{trust.RoleTargets, trust.RoleSnapshot, trust.RoleTimestamp} {
		roles[role] = trust.Role{Keys: []trust.Key{key}, Threshold: 1}
	}
	return nil
}

// readTrustKey reads [NAME=]KEY.
func readTrustKey(text string) (trust.Key, string, error) {
	name, rest, named := strings.Cut(text, "=")
	if !named || strings.ContainsAny(name, " /") {
		name, rest = "", text
	}
	id, err := peer.Parse(rest)
	if err != nil {
		data, fileErr := os.ReadFile(rest)
		if fileErr != nil {
			return trust.Key{}, "", ipc.Errorf(ipc.BadRequest, "%q is neither a key nor a file: %w", rest, err)
		}
		if id, err = peer.Parse(strings.TrimSpace(string(data))); err != nil {
			return trust.Key{}, "", ipc.Errorf(ipc.BadRequest, "%s holds no Ed25519 public key: %w", rest, err)
		}
	}
	key, err := trust.NewKey(id.PublicKey())
	return key, name, err
}

// signRoot signs for a verb with every key that matters and that the caller's agent holds; there must be one.
func (a *app) signRoot(ctx context.Context, verb string, root, previous *trust.Root, why purpose) (*trust.Root, error) {
	agent, err := a.agentOfCurrent(ctx)
	if err != nil {
		return nil, err
	}
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	audit := &keys.AuditLog{Path: dirs.AuditLog()}
	signed := 0
	for _, s := range trust.RootProcess(previous, root).Signers() {
		held, err := agent.Holds(ctx, s.Peer)
		if err != nil {
			return nil, err
		}
		if !held {
			continue
		}
		if root, err = trust.SignRoot(ctx, audit.Audited(agent.Signer(s.Peer), why.kind, why.command+" "+verb), root, previous); err != nil {
			return nil, err
		}
		signed++
	}
	if signed == 0 {
		return nil, ipc.Errorf(ipc.NoKey, "your agent at %s holds none of the keys that count", agent).WithHint("add one with lnk key add: the first signature is whoever proposes it")
	}
	return root, nil
}

type trustUpdateArgs struct {
	repositoryArgs
	rootChange
	Deadline deadline `json:"deadline" help:"drop the proposal if it is not signed within this <TIME>, e.g. 168h or 7d, or by this date"`
}

func trustUpdate(a *app) *cobra.Command {
	return verb[trustUpdateArgs, trust.Result]{
		name: "update", short: "propose the next version of root",
		long:    "Update makes the next version of root with the changes that the flags name, signs it with every key that counts and that your\nagent holds, and hands it in. It needs a threshold of the old keys and of the new. Without flags only the version is new.\n\n" + trustKeyHelp,
		example: "  lnk trust update --remove-key z6MkA… --add-key ann=ann-2.pub --days 365",
		cannot:  "propose the next root", exits: trustExits, defaults: trustUpdateArgs{repositoryArgs: usualRepository},
		run: a.trustUpdate, text: printTrustResult,
	}.command(a)
}

func (a *app) trustUpdate(ctx context.Context, args trustUpdateArgs) (trust.Result, error) {
	previous, err := a.publishedRoot(ctx, args.Repository)
	if err != nil {
		return trust.Result{}, err
	}
	if previous == nil {
		return trust.Result{}, ipc.Errorf(ipc.Conflict, "the bootstrap of repository %s is not finished", args.Repository).WithHint(trust.CommandLine(args.Repository, "show", ""))
	}
	spec := previous.Spec()
	spec.Version++
	root, err := args.apply(spec)
	if err != nil {
		return trust.Result{}, err
	}
	if root, err = a.signRoot(ctx, "update", root, previous, trusting(args.Repository, trust.RoleRoot)); err != nil {
		return trust.Result{}, err
	}
	return askTrust(ctx, a, trust.Update, trust.UpdateArgs{Repository: args.Repository, Root: root.Bytes(), Deadline: args.Deadline.end(), Agent: a.agentPath()})
}

// publishedRoot returns the newest published root, nil before there is one.
func (a *app) publishedRoot(ctx context.Context, repository string) (*trust.Root, error) {
	status, err := askTrust(ctx, a, trust.Status, trust.RepositoryArgs{Repository: repository})
	if err != nil || len(status.Root) == 0 {
		return nil, err
	}
	return trust.ParseRoot(status.Root)
}

type trustOverrideArgs struct {
	repositoryArgs
	rootChange
}

func trustOverride(a *app) *cobra.Command {
	return verb[trustOverrideArgs, trust.Result]{
		name: "override", short: "replace the root that waits for signatures",
		long:   "Override applies the changes that the flags name to the pending root, signs the result with every key that counts and that your\nagent holds, and puts it in place of what is pending. The signatures collected so far are dropped. If somebody replaced it\nmeanwhile, nothing happens and the exit status is 5.\n\n" + trustKeyHelp,
		cannot: "replace what is pending", exits: trustExits, defaults: trustOverrideArgs{repositoryArgs: usualRepository},
		run: a.trustOverride, text: printTrustResult,
	}.command(a)
}

func (a *app) trustOverride(ctx context.Context, args trustOverrideArgs) (trust.Result, error) {
	shown, err := a.trustShown(ctx, trustRoleArgs{repositoryArgs: args.repositoryArgs})
	if err != nil {
		return trust.Result{}, err
	}
	previous, err := a.publishedRoot(ctx, args.Repository)
	if err != nil {
		return trust.Result{}, err
	}
	root, err := args.apply(shown.document.(*trust.Root).Spec())
	if err != nil {
		return trust.Result{}, err
	}
	if root, err = a.signRoot(ctx, "override", root, previous, trusting(args.Repository, trust.RoleRoot)); err != nil {
		return trust.Result{}, err
	}
	return askTrust(ctx, a, trust.Override, trust.OverrideArgs{Repository: args.Repository, Metadata: root.Bytes(), Match: shown.Pending.Digest, Agent: a.agentPath()})
}

func trustCancel(a *app) *cobra.Command {
	return verb[trustRoleArgs, trust.Result]{
		name: "cancel", short: "end a signing process", long: "Cancel drops what waits for signatures of ROLE (root if not given), with the signatures collected so far.",
		cannot: "end the signing process", exits: trustExits, defaults: trustRoleArgs{repositoryArgs: usualRepository},
		run: func(ctx context.Context, args trustRoleArgs) (trust.Result, error) {
			return askTrust(ctx, a, trust.Cancel, trust.CancelArgs{Repository: args.Repository, Role: args.Role})
		},
		text: func(w io.Writer, r trust.Result) error {
			_, err := fmt.Fprintf(w, "%s version %d is given up\n", r.Role, r.Version)
			return err
		},
	}.command(a)
}
