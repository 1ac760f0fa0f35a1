package token

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
)

func writeSettings(t *testing.T, dirs profile.Dirs, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(dirs.Config, 0o700), os.WriteFile(dirs.Settings(), []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func newGuard(t *testing.T, settings string) (*Guard, profile.Dirs) {
	t.Helper()
	dirs := testDirs(t)
	if settings != "" {
		writeSettings(t, dirs, settings)
	}
	return NewGuard(dirs), dirs
}

func named(method string) ipc.MethodInfo { return ipc.MethodInfo{Name: method} }

func TestGuard(t *testing.T) {
	ctx := t.Context()
	g, _ := newGuard(t, "[tokens]\nrequire = [\"git.*\"]\n")
	_, text := issue(t, g.store, Order{Methods: Patterns{"git.refs"}, Uses: 2})
	for range 3 {
		if err := g.Authorize(ctx, named("trust.status"), nil); err != nil {
			t.Errorf("a method that demands nothing: %v", err)
		}
	}
	err := g.Authorize(ctx, named("git.refs"), nil)
	if !errors.Is(err, ipc.PermissionDenied) || !errors.Is(err, ErrMissing) || !strings.HasPrefix(ipc.HintOf(err), "lnk token issue --method git.refs") {
		t.Errorf("without a token: %v, hint %q", err, ipc.HintOf(err))
	}
	for _, want := range []error{nil, nil, ErrSpent} {
		if err := g.Authorize(ctx, named("git.refs"), text); !errors.Is(err, want) || (want != nil) != errors.Is(err, ipc.PermissionDenied) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if err := g.Authorize(ctx, named("git.projects"), text); !errors.Is(err, ErrScope) {
		t.Errorf("a method that the token does not permit: %v", err)
	}
	var got []string
	for _, e := range events(t, g.store) {
		got = append(got, e.Event+" "+e.Method)
	}
	want := "issued git.refs, refused git.refs, used git.refs, used git.refs, refused git.refs, refused git.projects"
	if strings.Join(got, ", ") != want {
		t.Errorf("the log has %v, want %s", got, want)
	}
}

// TestSettingsChange: what the settings demand holds from the next call on, and while they make no sense nothing is permitted.
func TestSettingsChange(t *testing.T) {
	ctx := t.Context()
	g, dirs := newGuard(t, "")
	for i, step := range []struct {
		settings string // "-" for no file
		want     error
	}{
		{"-", nil}, {"[tokens]\nrequire = [\"git.refs\"]\n", ErrMissing}, {"[tokens]\nrequire = [\"git.hosts\"]\n", nil}, {"[tokens]\nrequire = [\"git.*\"]\n", ErrMissing},
		{"[tokens]\nrequire = [\"*\"]\n", ipc.PermissionDenied}, {"[tokens]\nrequire = [\"ipc.*\"]\n", ipc.PermissionDenied}, {"[tokens]\nrequire = [\"ipc.ping\"]\n", ipc.PermissionDenied}, {"[token]\nrequire = []\n", ipc.PermissionDenied}, {"[tokens]\nrequired = []\n", ipc.PermissionDenied},
		{"junk", ipc.PermissionDenied}, {"[tokens]\nrequire = []\n", nil}, {"[tokens]\nrequire = \"git.*\"\n", ipc.PermissionDenied}, {"-", nil},
	} {
		if step.settings == "-" {
			_ = os.Remove(dirs.Settings())
		} else {
			writeSettings(t, dirs, step.settings)
		}
		if err := g.Authorize(ctx, named("git.refs"), nil); !errors.Is(err, step.want) {
			t.Errorf("step %d, %q: %v, want %v", i, step.settings, err, step.want)
		}
	}
	if err := errors.Join(os.Mkdir(dirs.Settings(), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := g.Authorize(ctx, named("git.refs"), nil); !errors.Is(err, ipc.PermissionDenied) {
		t.Errorf("settings that cannot be read: %v", err)
	}
}

func TestNoGuard(t *testing.T) {
	var g *Guard
	if err := g.Authorize(t.Context(), named("git.refs"), nil); err != nil {
		t.Error(err)
	}
	for _, ask := range []func(context.Context, []byte, string, string) error{g.Check, g.Spend} {
		if err := ask(t.Context(), []byte(newCredential().text()), "git.refs", "me"); !errors.Is(err, ErrInvalid) || !errors.Is(err, ipc.PermissionDenied) {
			t.Error(err)
		}
	}
}

// TestRefusalsAreBounded: somebody who keeps asking does not fill the log, and what was left out is counted.
func TestRefusalsAreBounded(t *testing.T) {
	var quiet throttle
	begin, lines, told := time.Unix(1e9, 0), 0, 0
	for i := range 1000 {
		missed, ok := quiet.admit(begin.Add(time.Duration(i) * 10 * time.Millisecond))
		if ok {
			lines, told = lines+1, told+missed
		}
	}
	if lines != 10*refusalsPerSecond || told+quiet.missed != 1000-lines {
		t.Errorf("%d lines, which tell of %d and will of %d", lines, told, quiet.missed)
	}
	g, _ := newGuard(t, "[tokens]\nrequire = [\"git.*\"]\n")
	for range 3 * refusalsPerSecond {
		if err := g.Authorize(t.Context(), named("git.refs"), nil); !errors.Is(err, ErrMissing) {
			t.Fatal(err)
		}
	}
	if n := len(events(t, g.store)); n < refusalsPerSecond || n == 3*refusalsPerSecond {
		t.Errorf("%d lines", n)
	}
}

// TestStoreFails: what is not the token's fault is no refusal, and permits nothing.
func TestStoreFails(t *testing.T) {
	g, dirs := newGuard(t, "[tokens]\nrequire = [\"git.*\"]\n")
	one, text := issue(t, g.store, Order{Methods: Patterns{"git.*"}, Uses: 1})
	if err := os.WriteFile(filepath.Join(dirs.Tokens(), string(one.ID)), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Authorize(t.Context(), named("git.refs"), text); err == nil || errors.Is(err, ipc.PermissionDenied) {
		t.Error(err)
	}
}
