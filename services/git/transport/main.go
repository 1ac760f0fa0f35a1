package transport

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lnk-suite/lnk/services/profile"
)

// Env is what git-remote-lnk gets from git.
type Env struct {
	Args    []string // after the program's name: the remote's name, its URL
	Getenv  func(string) string
	In, Out *os.File
	Err     io.Writer
}

// Main is the remote helper git-remote-lnk; it returns the exit status.
func Main(env Env) int {
	helper, hint, err := newHelper(env)
	if err == nil {
		hint = HintStart
		err = helper.Run()
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(env.Err, "lnk: %v\n", err)
	if hint != "" {
		fmt.Fprintf(env.Err, "lnk: hint: %s\n", hint)
	}
	return 1
}

// newHelper finds out whom to talk to; the hint tells what would help against the error.
func newHelper(env Env) (helper *Helper, hint string, err error) {
	if len(env.Args) != 2 {
		return nil, "git starts this program for remotes with an lnk:// URL", fmt.Errorf("usage: git-remote-lnk REMOTE URL")
	}
	target, err := ParseURL(env.Args[1])
	if err != nil {
		return nil, "", err
	}
	dirs, err := profile.NewDirs(env.Getenv)
	if err != nil {
		return nil, "", err
	}
	current, err := dirs.Profile("")
	if err != nil {
		return nil, "make a profile with `lnk profile create NAME`", fmt.Errorf("cannot tell who you are: %w", err)
	}
	return &Helper{
		In: env.In, Out: env.Out, Target: target,
		Socket: dirs.Socket("gitd", current.Peer), Agent: cleanPath(env.Getenv("SSH_AUTH_SOCK")),
	}, "", nil
}

// cleanPath makes the path of the agent mean the same to gitd, which runs in another folder.
func cleanPath(path string) string {
	if path == "" {
		return ""
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	return absolute
}
