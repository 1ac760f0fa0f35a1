package cli

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// external tells whether the command line asks for a subcommand that lnk does not have but PATH does, as lnk-<name>
// (RFC 0682, section CLI). Builtins come first, so nothing in PATH can take their place.
func external(root *cobra.Command, args []string) (program string, rest []string, ok bool) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || strings.ContainsRune(args[0], filepath.Separator) {
		return "", nil, false
	}
	root.InitDefaultHelpCmd()
	if found, _, err := root.Find(args); err == nil && found != root {
		return "", nil, false
	}
	program, err := exec.LookPath("lnk-" + args[0])
	if err != nil || !filepath.IsAbs(program) { // never from the current directory
		return "", nil, false
	}
	return program, args[1:], true
}

func (a *app) runExternal(ctx context.Context, program string, args []string) error {
	return a.runProgram(exec.CommandContext(ctx, program, args...))
}

// runProgram runs a program in lnk's place: same streams, its exit status becomes ours. A cancelled context reaches the
// program as SIGTERM, and SIGKILL ten seconds later.
func (a *app) runProgram(c *exec.Cmd) error {
	c.Stdin, c.Stdout, c.Stderr = a.Stdin, a.Stdout, a.Stderr
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	err := c.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &exitError{status: 128 + int(status.Signal())}
	}
	return &exitError{status: exit.ExitCode()}
}
