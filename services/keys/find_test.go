package keys_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func noManager(context.Context) ([]byte, error) { return nil, errors.New("no user manager") }

// TestFindAgentOrder takes away the best agent again and again.
func TestFindAgentOrder(t *testing.T) {
	dir := keystest.ShortDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "gcr"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	sources := keys.Sources{
		Caller: path("caller"), Profile: path("profile"), Getenv: environment("SSH_AUTH_SOCK", path("env"), "XDG_RUNTIME_DIR", dir),
		UserManager: func(context.Context) ([]byte, error) {
			return []byte("PATH=/bin\nSSH_AUTH_SOCK=" + path("manager") + "\nLANG=C\n"), nil
		},
	}
	order := []struct{ path, source string }{
		{path("caller"), keys.SourceCaller}, {path("profile"), keys.SourceProfile}, {path("env"), keys.SourceEnvironment},
		{path("manager"), keys.SourceUserManager}, {path("gcr/ssh"), keys.SourceWellKnown},
	}
	var stops []func()
	for _, o := range order {
		_, stop := keystest.StartAgent(t, o.path)
		stops = append(stops, stop)
	}
	for i, want := range order {
		got, err := keys.FindAgent(t.Context(), sources)
		if err != nil || got.Path != want.path || got.Source != want.source {
			t.Errorf("found %+v, %v; want %+v", got, err, want)
		}
		all := slices.Collect(keys.Candidates(t.Context(), sources))
		if len(all) != len(order) {
			t.Fatalf("candidates are %v", all)
		}
		for j, c := range all {
			if (c.Problem != nil) != (j < i) {
				t.Errorf("after %d stopped, %s has problem %v", i, c.Path, c.Problem)
			}
		}
		stops[i]()
	}
	_, err := keys.FindAgent(t.Context(), sources)
	wantCause(t, err, "no ssh-agent is running at "+path("caller"))
}

func TestCandidatesAsksNoManagerInVain(t *testing.T) {
	sources := keys.Sources{Caller: keystest.Agent(t).Path, Getenv: environment(), UserManager: func(context.Context) ([]byte, error) {
		t.Error("the user manager was asked")
		return nil, errors.New("not asked for")
	}}
	for candidate := range keys.Candidates(t.Context(), sources) {
		if candidate.Path == sources.Caller && candidate.Problem == nil {
			break
		}
	}
}

func TestFindAgentNone(t *testing.T) {
	dir := keystest.ShortDir(t)
	_, err := keys.FindAgent(t.Context(), keys.Sources{Getenv: environment("XDG_RUNTIME_DIR", dir, "HOME", dir), UserManager: noManager})
	wantCause(t, err, "no ssh-agent is running")
	_, err = keys.FindAgent(t.Context(), keys.Sources{})
	wantCause(t, err, "no ssh-agent is running")
}

// TestFindAgentIsLazy: the user manager is asked only when nothing better answers, and its quoting is undone.
func TestFindAgentIsLazy(t *testing.T) {
	agent := keystest.Agent(t)
	sources := keys.Sources{Getenv: environment("SSH_AUTH_SOCK", agent.Path), UserManager: func(context.Context) ([]byte, error) {
		t.Error("the user manager was asked in vain")
		return nil, nil
	}}
	if got, err := keys.FindAgent(t.Context(), sources); err != nil || got.Source != keys.SourceEnvironment {
		t.Errorf("found %v, %v", got, err)
	}
	sources = keys.Sources{Getenv: environment(), UserManager: func(context.Context) ([]byte, error) {
		return []byte("SSH_AUTH_SOCK=$'" + agent.Path + "'\n"), nil
	}}
	if got, err := keys.FindAgent(t.Context(), sources); err != nil || got.Source != keys.SourceUserManager || got.Path != agent.Path {
		t.Errorf("found %v, %v", got, err)
	}
}

// TestForeignSocket needs root to give a socket away.
func TestForeignSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a socket that belongs to another user")
	}
	agent := keystest.Agent(t)
	if err := os.Chown(agent.Path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	_, err := keys.FindAgent(t.Context(), keys.Sources{Caller: agent.Path})
	wantCause(t, err, "belongs to another user")
}

// TestFindOnly: an unattended peer's agent is the only one, dead or alive.
func TestFindOnly(t *testing.T) {
	callers := keystest.Agent(t)
	own := filepath.Join(keystest.ShortDir(t), "own")
	sources := keys.Sources{Caller: callers.Path, Profile: own, Only: true, Patience: time.Second, Getenv: environment("SSH_AUTH_SOCK", callers.Path)}
	_, err := keys.FindAgent(t.Context(), sources)
	wantCause(t, err, "no ssh-agent is running at "+own)
	if hint := ipc.HintOf(err); !strings.Contains(hint, "agent_socket") {
		t.Errorf("the hint is %q", hint)
	}
	keystest.StartAgent(t, own)
	if got, err := keys.FindAgent(t.Context(), sources); err != nil || got.Path != own || got.Source != keys.SourceProfile || got.Patience != time.Second {
		t.Errorf("found %+v, %v", got, err)
	}
	if all := slices.Collect(keys.Candidates(t.Context(), sources)); len(all) != 1 {
		t.Errorf("candidates are %v", all)
	}
}
