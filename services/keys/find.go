package keys

import (
	"context"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Sources says where to look for an agent, best first. The zero value looks nowhere.
type Sources struct {
	// Caller is the agent of whoever asked for the work. A service manager's environment often has none, and the caller
	// is the same user, so nothing is gained or lost by using theirs.
	Caller string
	// Profile is the profile's agent_socket.
	Profile string
	// Only is the profile's agent_only: no other agent will do, not even the caller's.
	Only bool
	// Patience becomes that of the agents, and For too.
	Patience time.Duration
	For      string
	// Getenv reads this process's environment: SSH_AUTH_SOCK, XDG_RUNTIME_DIR, HOME. Nil skips what depends on it.
	Getenv func(string) string
	// UserManager prints the service manager's environment, NAME=value per line; nil asks systemctl, if it is installed.
	UserManager func(context.Context) ([]byte, error)
}

// Candidate is an agent that was considered.
type Candidate struct {
	Agent
	// Problem is why it cannot be used; nil for one that can.
	Problem error
}

// FindAgent returns the first agent of ours that takes connections. If there is none the error is that of the best
// source that named one: ipc.NoKey with a hint.
func FindAgent(ctx context.Context, s Sources) (Agent, error) {
	var first error
	for candidate := range Candidates(ctx, s) {
		if candidate.Problem == nil {
			return candidate.Agent, nil
		}
		if first == nil && candidate.Source != SourceWellKnown {
			first = candidate.Problem
		}
	}
	if first == nil {
		first = errNoAgent()
	}
	return Agent{}, first
}

// Candidates gives every agent that FindAgent would consider, in order, and what is wrong with each. FindAgent takes the first
// that has no problem. It looks no further than it is asked to: asking the user manager costs a process.
func Candidates(ctx context.Context, s Sources) iter.Seq[Candidate] {
	return func(yield func(Candidate) bool) {
		seen := map[string]bool{"": true}
		for _, look := range s.places() {
			for _, path := range look.paths(ctx) {
				if seen[path] {
					continue
				}
				seen[path] = true
				agent := Agent{Path: path, Source: look.source, Patience: s.Patience, For: s.For, spare: newSpare()}
				if !yield(Candidate{agent, agent.Check(ctx)}) {
					return
				}
			}
		}
	}
}

type place struct {
	source string
	paths  func(context.Context) []string
}

func (s Sources) places() []place {
	one := func(path string) func(context.Context) []string {
		return func(context.Context) []string { return []string{path} }
	}
	if s.Only {
		return []place{{SourceProfile, one(s.Profile)}}
	}
	places := []place{{SourceCaller, one(s.Caller)}, {SourceProfile, one(s.Profile)}}
	if s.Getenv == nil {
		return places
	}
	return append(places,
		place{SourceEnvironment, one(s.Getenv(authSock))},
		place{SourceUserManager, s.userManager},
		place{SourceWellKnown, func(context.Context) []string { return wellKnown(s.Getenv("XDG_RUNTIME_DIR"), s.Getenv("HOME")) }})
}

const authSock = "SSH_AUTH_SOCK"

// managerLimit is how long the service manager may take to answer.
const managerLimit = 2 * time.Second

func (s Sources) userManager(ctx context.Context) []string {
	show := s.UserManager
	if show == nil {
		show = showEnvironment
	}
	ctx, cancel := context.WithTimeout(ctx, managerLimit)
	defer cancel()
	out, err := show(ctx)
	if err != nil {
		return nil // No user manager: nothing to look at.
	}
	for line := range strings.Lines(string(out)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), authSock+"="); ok {
			return []string{unquote(value)}
		}
	}
	return nil
}

// showEnvironment returns the environment that a desktop session has imported into systemd --user.
func showEnvironment(ctx context.Context) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "systemctl", "--user", "show-environment")
	cmd.WaitDelay = managerLimit
	return cmd.Output()
}

// unquote undoes systemctl's shell quoting, $'…', for values that have nothing but the quotes around them.
func unquote(value string) string {
	if inner, ok := strings.CutPrefix(value, "$'"); ok {
		return strings.TrimSuffix(inner, "'")
	}
	return value
}

// wellKnown lists sockets that exist where agents usually put theirs.
func wellKnown(runtimeDir, home string) []string {
	var patterns []string
	if runtimeDir != "" {
		patterns = append(patterns,
			filepath.Join(runtimeDir, "ssh-agent.socket"),      // OpenSSH's user unit, KDE
			filepath.Join(runtimeDir, "openssh_agent"),         // Debian's user unit
			filepath.Join(runtimeDir, "gcr/ssh"),               // GNOME since 46
			filepath.Join(runtimeDir, "keyring/ssh"),           // GNOME before
			filepath.Join(runtimeDir, "gnupg/S.gpg-agent.ssh")) // GnuPG
	}
	if home != "" {
		patterns = append(patterns,
			filepath.Join(home, ".ssh/agent/s.*.agent.*"), // OpenSSH since 10.1
			filepath.Join(home, ".gnupg/S.gpg-agent.ssh"))
	}
	patterns = append(patterns, "/private/tmp/com.apple.launchd.*/Listeners") // launchd
	var found []string
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(pattern) // The only error is a bad pattern in a folder's name: nothing found.
		for _, path := range matches {
			if info, err := os.Stat(path); err == nil && info.Mode().Type() == os.ModeSocket {
				found = append(found, path)
			}
		}
	}
	return found
}
