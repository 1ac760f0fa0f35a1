package cli

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// remoteName is what init and clone call the git remote of a project.
const remoteName = "lnk"

// gitArgs are what push, pull and fetch hand to git as they are.
type gitArgs struct {
	Args []string `arg:"[ARGS...]"`
}

func pushCommand(a *app) *cobra.Command {
	return a.gitCommand("push", "publish the current branch, or the given refs", `Push runs "git push lnk ARGS…" in the current repository; without ARGS it pushes the current branch to the branch of the same
name. The push is signed through your ssh-agent, and each updated ref becomes one event on the bus.`,
		func(_ context.Context, args []string) []string {
			return slices.Concat([]string{"-c", "push.default=current", "push", remoteName}, args)
		})
}

func fetchCommand(a *app) *cobra.Command {
	return a.gitCommand("fetch", "fetch what was published", `Fetch runs "git fetch lnk ARGS…" in the current repository. It needs no key.`,
		func(_ context.Context, args []string) []string {
			return slices.Concat([]string{"fetch", remoteName}, args)
		})
}

func pullCommand(a *app) *cobra.Command {
	return a.gitCommand("pull", "fetch and integrate the current branch", `Pull runs "git pull lnk ARGS…" in the current repository; without a ref among ARGS it pulls the branch of the current
branch's name. It needs no key.`,
		func(ctx context.Context, args []string) []string {
			if slices.ContainsFunc(args, func(arg string) bool { return !strings.HasPrefix(arg, "-") }) {
				return slices.Concat([]string{"pull", remoteName}, args)
			}
			words := slices.Concat([]string{"pull"}, args, []string{remoteName})
			if branch, err := a.gitOutput(ctx, "symbolic-ref", "--short", "HEAD"); err == nil {
				words = append(words, branch)
			} // else git says what is wrong
			return words
		})
}

// gitCommand makes a subcommand that runs git in lnk's place. All its flags are git's.
func (a *app) gitCommand(name, short, long string, line func(ctx context.Context, args []string) []string) *cobra.Command {
	c := action[gitArgs]{
		name:    name,
		short:   short,
		long:    long + "\n\nThe remote is the one that lnk init or lnk clone made. All flags are git's, and so is the exit status.",
		example: "  lnk " + name,
		cannot:  name,
		exits:   []int{exitInterrupted},
		run: func(ctx context.Context, args gitArgs) error {
			return a.runProgram(a.git(ctx, line(ctx, args.Args)...))
		},
	}.command(a)
	c.Annotations[verbatimKey] = "true"
	return c
}

// git prepares git with lnk's own folder first in PATH, as git looks for git-remote-lnk there.
func (a *app) git(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "git", args...)
	c.Env = a.childEnvironment()
	return c
}

// childEnvironment is the caller's environment with the programs beside lnk in PATH and --profile as LNK_PROFILE.
func (a *app) childEnvironment() []string {
	env := a.Environ()
	if a.Executable != "" {
		env = append(env, "PATH="+filepath.Dir(a.Executable)+string(filepath.ListSeparator)+a.Getenv("PATH"))
	}
	if a.profile != "" {
		env = append(env, "LNK_PROFILE="+a.profile)
	}
	return env
}

// gitOutput runs git and returns its standard output without the last newline. The error is what git said.
func (a *app) gitOutput(ctx context.Context, args ...string) (string, error) {
	c := a.git(ctx, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		said := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "fatal: ")
		if said == "" {
			said = err.Error()
		}
		return "", fmt.Errorf("git %s: %s", args[0], said)
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}
