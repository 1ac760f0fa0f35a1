package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// defaultIdle is in the order that RFC 0682 asks for ("10s of minutes").
const defaultIdle = 15 * time.Minute

type options struct {
	idle    time.Duration
	socket  string
	peer    peer.ID
	version bool
}

// parse reads the flags. The error is flag.ErrHelp when help was asked for, and written to stdout.
func parse(spec Spec, args []string, stdout io.Writer) (options, error) {
	opts := options{}
	flags := flag.NewFlagSet(spec.Program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&opts.idle, "idle", defaultIdle, "leave after nothing was going on for this `time`; 0 to stay")
	flags.StringVar(&opts.socket, "socket", "", "listen on this `path` when started by hand (default: the well-known path)")
	flags.BoolVar(&opts.version, "version", false, "print the version")
	if spec.PerPeer {
		flags.Func("peer", "serve the peer with this `id`", func(s string) (err error) {
			opts.peer, err = peer.Parse(s)
			return err
		})
	}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		help(spec, flags, stdout)
		return opts, err
	case err != nil || opts.version:
		return opts, err
	case flags.NArg() > 0:
		return opts, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opts.idle < 0:
		return opts, fmt.Errorf("cannot use --idle %v: it is negative", opts.idle)
	case spec.PerPeer && opts.peer == "":
		return opts, errors.New("--peer is missing: it says whose instance this is")
	}
	return opts, nil
}

func help(spec Spec, flags *flag.FlagSet, stdout io.Writer) {
	fmt.Fprintf(stdout, "%s - %s\n\nThe service manager or \"lnk up\" starts it when somebody connects to its socket.\n\nFLAGS\n", spec.Program, spec.Short)
	flags.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(stdout, "  --%s %s\n        %s\n", f.Name, value, usage)
	})
	fmt.Fprint(stdout, "\nEXIT STATUS\n  0  left because it was idle or told to\n  1  failure\n  2  wrong flags\n")
}
