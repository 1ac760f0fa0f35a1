package gitd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// engine runs the system's git.
type engine struct {
	git        string // path of the program
	hooks      string // folder with our proc-receive alone
	searchPath string // PATH of children
	limits     Limits
}

// maxComplaint is how much of git's standard error is kept for the log, in bytes.
const maxComplaint = 4096

// afterExit is how long to wait for the output of grandchildren once git itself has ended.
const afterExit = time.Second

// command prepares a git process in a group of its own, which is killed as a whole when ctx ends.
func (e *engine) command(ctx context.Context, env []string, args ...string) (*exec.Cmd, *complaint) {
	cmd := exec.CommandContext(ctx, e.git, args...)
	stderr := &complaint{}
	cmd.Env, cmd.Stderr, cmd.WaitDelay = env, stderr, afterExit
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd, stderr
}

// serve runs git with a connection as its standard input and output until git is done. files are passed on; meanwhile is
// called when git has them, and git is waited for when it returns.
func (e *engine) serve(ctx context.Context, conn *os.File, env, args []string, files []*os.File, meanwhile func()) error {
	cmd, stderr := e.command(ctx, env, args...)
	cmd.Stdin, cmd.Stdout, cmd.ExtraFiles = conn, conn, files
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start git: %w", err)
	}
	limitProcess(cmd.Process.Pid, e.limits)
	meanwhile()
	if err := cmd.Wait(); err != nil {
		return stderr.explain(err, context.Cause(ctx))
	}
	return nil
}

// output runs git to its end and returns what it printed.
func (e *engine) output(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	cmd, stderr := e.command(ctx, e.environment(e.commonSettings()), args...)
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, stderr.explain(err, context.Cause(ctx))
	}
	return out, nil
}

// complaint keeps the beginning of what git says on standard error.
type complaint struct{ text []byte }

func (c *complaint) Write(p []byte) (int, error) {
	if room := maxComplaint - len(c.text); room > 0 {
		c.text = append(c.text, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// explain makes one error of git's exit status, of what ended it early, and of its own words.
func (c *complaint) explain(err, cause error) error {
	if cause != nil {
		return fmt.Errorf("git was ended: %w", cause)
	}
	if words := strings.TrimSpace(string(c.text)); words != "" {
		return fmt.Errorf("git: %s (%w)", words, err)
	}
	return fmt.Errorf("git: %w", err)
}
