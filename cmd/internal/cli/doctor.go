package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/token"
)

// A finding is one thing that lnk doctor looked at.
type finding struct {
	Check   string `json:"check" cbor:"0,keyasint"`
	OK      bool   `json:"ok" cbor:"1,keyasint"`
	Detail  string `json:"detail" cbor:"2,keyasint"`
	Cure    string `json:"cure,omitempty" cbor:"3,keyasint,omitempty"`
	Problem bool   `json:"problem" cbor:"4,keyasint"` // false for what is not well, but does not matter either
}

func good(check, format string, args ...any) finding {
	return finding{Check: check, OK: true, Detail: fmt.Sprintf(format, args...)}
}

func bad(check, cure, format string, args ...any) finding {
	return finding{Check: check, Detail: fmt.Sprintf(format, args...), Cure: cure, Problem: true}
}

func doctorCommand(a *app) *cobra.Command {
	return verb[none, []finding]{
		name:  "doctor",
		short: "look for what is wrong, and say what helps",
		long: `Doctor checks what the suite needs: the programs and git, the profile, which ssh-agent is used and why, whether it holds the
key, the runtime folder and its sockets, and whether the daemons answer, for which it starts them. Each problem comes with its
cure. It ends with status 1 if there is one.`,
		cannot: "examine the suite",
		run: func(ctx context.Context, _ none) ([]finding, error) {
			list, err := a.examine(ctx)
			if err != nil {
				return nil, err
			}
			problems := 0
			for _, f := range list {
				if f.Problem {
					problems++
				}
			}
			if problems > 0 {
				return list, &exitError{status: exitFailure, message: fmt.Sprintf("found %d of %d things wrong", problems, len(list)), withResult: true}
			}
			return list, nil
		},
		text: printFindings,
	}.command(a)
}

func printFindings(w io.Writer, list []finding) error {
	for _, f := range list {
		word := "ok"
		switch {
		case f.Problem:
			word = "PROBLEM"
		case !f.OK:
			word = "-"
		}
		if _, err := fmt.Fprintf(w, "%-7s  %-15s  %s\n", word, f.Check, f.Detail); err != nil {
			return err
		}
		if f.Cure != "" {
			fmt.Fprintf(w, "%-7s  %-15s  cure: %s\n", "", "", f.Cure)
		}
	}
	return nil
}

func (a *app) examine(ctx context.Context) ([]finding, error) {
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	list := append(a.checkPrograms(), a.checkGit(ctx))
	p, found := a.checkProfile(dirs)
	list = append(list, found, checkSettings(dirs))
	list = append(list, a.checkAgents(ctx, p)...)
	list = append(list, checkRuntime(dirs))
	list = append(list, a.checkSockets(ctx, dirs, p)...)
	return list, nil
}

// checkPrograms looks for the daemons where lnk up does, and for the remote helper where git does.
func (a *app) checkPrograms() []finding {
	var list []finding
	for _, name := range []string{"lnk-busd", "lnk-gitd", "lnk-git-hook", "lnk-trustd"} {
		path, err := a.program(name)
		if err != nil {
			list = append(list, bad("programs", ipc.HintOf(err), "%v", err))
			continue
		}
		list = append(list, good("programs", "%s", path))
	}
	path, err := exec.LookPath("git-remote-lnk")
	if err != nil {
		return append(list, bad("programs", "put the folder of lnk's programs into PATH", "git-remote-lnk is not in PATH, so git does not know lnk:// (lnk push and lnk pull do)"))
	}
	return append(list, good("programs", "%s", path))
}

// checkGit wants a git that knows what gitd asks of it.
func (a *app) checkGit(ctx context.Context) finding {
	const cure = "install git 2.36 or newer"
	version, err := a.gitOutput(ctx, "version")
	if err != nil {
		return bad("git", cure, "%v", err)
	}
	number := strings.TrimPrefix(version, "git version ")
	var major, minor int
	if _, err := fmt.Sscanf(number, "%d.%d", &major, &minor); err != nil || major < 2 || major == 2 && minor < 36 {
		return bad("git", cure, "git %s is too old", number)
	}
	return good("git", "%s", number)
}

func (a *app) checkProfile(dirs profile.Dirs) (profile.Profile, finding) {
	p, err := dirs.Profile("")
	if err != nil {
		return p, bad("profile", ipc.HintOf(err), "%v", err)
	}
	return p, good("profile", "%s %s", p.Name, p.Peer)
}

// checkSettings reads lnk.toml as the daemons do.
func checkSettings(dirs profile.Dirs) finding {
	demand, err := token.NewGuard(dirs).Demand()
	if err != nil {
		return bad("settings", ipc.HintOf(err), "%v", err)
	}
	if len(demand) == 0 {
		return good("settings", "no method demands a token")
	}
	for _, pattern := range demand {
		if !namesMethod(pattern) {
			return finding{Check: "settings", Detail: "a token is demanded for " + pattern + ", but no service that lnk knows has such a method"}
		}
	}
	return good("settings", "a token is demanded for %s", strings.Join(demand, " "))
}

// checkAgents shows every agent that was considered, which one is used and why, and whether it holds the key.
func (a *app) checkAgents(ctx context.Context, p profile.Profile) []finding {
	var list []finding
	var used *keys.Agent
	for candidate := range keys.Candidates(ctx, a.agentSources(p)) {
		f := finding{Check: "agent", OK: candidate.Problem == nil}
		switch {
		case candidate.Problem != nil:
			f.Detail = fmt.Sprintf("not %s (%s): %v", candidate.Path, candidate.Source, candidate.Problem)
		case used == nil:
			used = &candidate.Agent
			f.Detail = fmt.Sprintf("%s (%s), the first that answers", candidate.Path, candidate.Source)
		default:
			f.Detail = fmt.Sprintf("%s (%s) is not needed", candidate.Path, candidate.Source)
		}
		list = append(list, f)
	}
	if used == nil {
		_, err := a.agent(ctx, p)
		return append(list, bad("agent", a.cure(err), "%v", err))
	}
	if p.Peer == "" {
		return list
	}
	if err := used.Ready(ctx, p.Peer); err != nil {
		return append(list, bad("key", a.cure(err), "%v", err))
	}
	return append(list, good("key", "the agent holds the key of profile %s", p.Name))
}

// checkRuntime wants the folder of the sockets to be ours alone.
func checkRuntime(dirs profile.Dirs) finding {
	info, err := os.Stat(dirs.Runtime)
	switch {
	case isMissing(err):
		return bad("runtime folder", "start the suite: lnk up, or lnk service install", "%s does not exist", dirs.Runtime)
	case err != nil:
		return bad("runtime folder", "check its permissions", "%v", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() {
		return bad("runtime folder", "set XDG_RUNTIME_DIR to a folder of yours", "%s belongs to another user", dirs.Runtime)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return bad("runtime folder", "chmod 700 "+dirs.Runtime, "%s is open to others: mode %s", dirs.Runtime, info.Mode().Perm())
	}
	return good("runtime folder", "%s", dirs.Runtime)
}

// answerTimeout is how long each daemon may take to start and answer.
const answerTimeout = 5 * time.Second

// checkSockets looks at each socket and asks the daemon behind it.
func (a *app) checkSockets(ctx context.Context, dirs profile.Dirs, p profile.Profile) []finding {
	list := []finding{
		checkSocket(ctx, "bus", dirs.Socket("bus", ""), a.askBus),
		checkSocket(ctx, "trust", dirs.Socket("trust", ""), askHealth),
	}
	if p.Peer == "" {
		return list
	}
	return append(list, checkSocket(ctx, "gitd", dirs.Socket("gitd", p.Peer), askHealth))
}

func (a *app) askBus(ctx context.Context, _ string) error {
	client, err := a.bus()
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.State(ctx)
	return err
}

func askHealth(ctx context.Context, path string) error {
	client := ipc.NewClient(path, userAgent)
	defer client.Close()
	report, err := ipc.Health.Call(ctx, client, ipc.Empty{})
	if err == nil && !report.Healthy {
		return ipc.Errorf(ipc.Unavailable, "%s", report.Reason).WithHint(report.Hint)
	}
	return err
}

func checkSocket(ctx context.Context, service, path string, ask func(context.Context, string) error) finding {
	const cure = "lnk up, or lnk service enable"
	info, err := os.Lstat(path)
	switch {
	case isMissing(err):
		return bad(service, cure, "no socket at %s", path)
	case err != nil:
		return bad(service, "check the permissions of "+filepath.Dir(path), "%v", err)
	case info.Mode().Type() != fs.ModeSocket:
		return bad(service, "remove it", "%s is not a socket", path)
	case info.Mode().Perm()&0o077 != 0:
		return bad(service, "chmod 700 "+path, "%s is open to others: mode %s", path, info.Mode().Perm())
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := ask(ctx, path); err != nil {
		hint := ipc.HintOf(err)
		if hint == "" {
			hint = "look at the daemon's log: the output of lnk up, or journalctl --user"
		}
		return bad(service, hint, "%s: %v", path, err)
	}
	return good(service, "answers at %s", path)
}
