package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

func completionCommand(a *app) *cobra.Command {
	type args struct {
		Shell string `arg:"SHELL"`
	}
	return action[args]{
		name:  "completion",
		short: "print the completion script of a shell",
		long: `Completion prints a script that makes the shell SHELL complete lnk's commands and flags: bash, zsh, fish or powershell.

For bash: lnk completion bash > ~/.local/share/bash-completion/completions/lnk`,
		cannot: "print the completion script",
		run: func(_ context.Context, args args) error {
			return writeCompletion(newRoot(a), a.Stdout, args.Shell)
		},
	}.command(a)
}

func writeCompletion(root *cobra.Command, w io.Writer, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(w)
	}
	return usage(root, "there is no completion for the shell %q, only for bash, zsh, fish and powershell", shell)
}

func generateCommand(a *app) *cobra.Command {
	type args struct {
		Dir string `arg:"DIR"`
	}
	man := action[args]{
		name:   "man",
		short:  "write the manual pages into a folder",
		long:   "Man writes one manual page per command (lnk.1, lnk-up.1, …) into the existing folder DIR. The same lnk writes the same bytes.",
		cannot: "write the manual pages",
		run: func(_ context.Context, args args) error {
			return writeManual(args.Dir, newRoot(a))
		},
	}.command(a)
	c := noun("generate", "write files that are made from the commands", "Generate writes files for packagers.", man)
	c.Hidden = true
	return c
}
