package cli

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// State is everything that a command may touch of the process that it runs in.
type State struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(name string) string
	Environ        func() []string
	Executable     string // path of the running lnk; the daemons are looked for beside it, then in PATH. May be empty
}

// Main runs one command line, without the program's name, and returns the exit status. An interrupt (SIGINT, SIGTERM) ends
// the context of the command.
func Main(ctx context.Context, state State, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends lnk at once
	a := &app{State: state}
	root := newRoot(a)
	if name, rest, ok := external(root, args); ok {
		return a.report(root, a.runExternal(ctx, name, rest))
	}
	root.SetArgs(append([]string{}, protect(root, args)...)) // never nil: cobra would take the process's own
	command, err := root.ExecuteContextC(ctx)
	if err != nil && ctx.Err() != nil && !errors.As(err, new(*exitError)) {
		err = &exitError{status: exitInterrupted, message: "interrupted"}
	}
	return a.report(command, err)
}

// newRoot builds the whole tree. It must stay cheap: every call of lnk pays for it.
func newRoot(a *app) *cobra.Command {
	root := noun("lnk", "talk to the lnk daemons on this machine", rootLong, commands(a)...)
	root.Version = version()
	root.SetVersionTemplate("lnk {{.Version}}\n")
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, "%v", err) })
	root.Flags().Bool("version", false, "show lnk's version")
	root.PersistentFlags().VarP(&a.format, "output", "o", "print results as `FORMAT`: text, json or cbor")
	root.PersistentFlags().StringVar(&a.profile, "profile", "", "use the profile `NAME` (default: $LNK_PROFILE, else the active one)")
	root.PersistentFlags().StringVar(&a.tokenFile, "token-file", "", "show services the token in `FILE`, - for standard input")
	describeFlags(root)
	return root
}

const rootLong = `lnk talks to a suite of local daemons in which your ssh-agent holds the only key. The daemons listen on UNIX sockets
under $XDG_RUNTIME_DIR/radicle, are started when somebody connects and leave when nobody needs them.

"lnk up" runs the sockets in the foreground, "lnk service install" leaves them to the service manager. A subcommand that is
not in the list below runs the program lnk-<name> from PATH.

Environment: LNK_HOME puts configuration, state and data under one folder (else XDG_CONFIG_HOME, XDG_STATE_HOME and
XDG_DATA_HOME), LNK_PROFILE chooses the profile, SSH_AUTH_SOCK is the agent that signs.`

// describeFlags gives cobra's own flag the help text in our style, as cobra adds it only at execution.
func describeFlags(c *cobra.Command) {
	c.InitDefaultHelpFlag()
	c.Flags().Lookup("help").Usage = "show the help of this command"
	for _, sub := range c.Commands() {
		describeFlags(sub)
	}
}
