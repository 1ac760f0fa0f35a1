package units

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Manager drives the service manager of the user through systemctl. Its methods start a process each and wait for it;
// ending ctx kills it.
type Manager struct {
	// Folder is where Install puts the files: ~/.config/systemd, or $XDG_RUNTIME_DIR/systemd for until the next log-out.
	Folder string
	// Runtime makes enabling last until the next log-out only.
	Runtime bool
	// Environ is the environment of systemctl.
	Environ []string
}

// NewManager finds the folder from an environment such as os.Environ: with runtime set that of the session, else that of the user.
func NewManager(environ []string, runtime bool) (*Manager, error) {
	getenv := lookup(environ)
	m := &Manager{Runtime: runtime, Environ: append(environ[:len(environ):len(environ)], "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")}
	base := getenv("XDG_CONFIG_HOME")
	if runtime {
		base = getenv("XDG_RUNTIME_DIR")
	} else if !filepath.IsAbs(base) && getenv("HOME") != "" {
		base = filepath.Join(getenv("HOME"), ".config")
	}
	if !filepath.IsAbs(base) {
		return nil, errors.New("cannot find the folder of your units: neither XDG_RUNTIME_DIR nor HOME says where it is")
	}
	m.Folder = filepath.Join(base, "systemd")
	return m, nil
}

func lookup(environ []string) func(string) string {
	return func(name string) string {
		for _, setting := range environ {
			if key, value, _ := strings.Cut(setting, "="); key == name {
				return value
			}
		}
		return ""
	}
}

// systemctl runs systemctl --user and returns what it prints. Its complaint becomes the error.
func (m *Manager) systemctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--user"}, args...)...)
	cmd.Env = m.Environ
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err == nil {
		return stdout.String(), nil
	}
	if complaint := strings.TrimSpace(stderr.String()); complaint != "" {
		err = errors.New(strings.ReplaceAll(complaint, "\n", "; "))
	}
	return stdout.String(), fmt.Errorf("systemctl --user %s: %w", args[0], err)
}
