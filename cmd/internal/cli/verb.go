package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
)

// A verb is one subcommand: the function that does the work and what the command line shows of it. Flags and positional
// arguments come from the tags of A (see [bind]), the output of -o json|cbor from the tags of R.
type verb[A, R any] struct {
	name     string // the last word of the command line: "create" of "lnk profile create"
	short    string // one line for the list of commands, lower case, no full stop
	long     string // what it does and promises; each promise has a script under testdata
	example  string
	cannot   string // "create the profile": its errors are told as "cannot create the profile: cause"
	exits    []int  // what it may return besides success, failure and usage
	defaults A      // flags show these values; the zero value is not shown

	// run does the work. A result that comes with an [exitError] that is bad news about it is printed, too.
	run func(ctx context.Context, args A) (R, error)
	// text prints the result for people. Nil: -o text prints nothing.
	text func(w io.Writer, result R) error
}

// command builds the cobra command.
func (v verb[A, R]) command(a *app) *cobra.Command {
	h := head{v.name, v.short, v.long, v.example, v.cannot, v.exits}
	return build(a, h, v.defaults, func(ctx context.Context, args A) error {
		result, err := v.run(ctx, args)
		if news := (*exitError)(nil); err != nil && !(errors.As(err, &news) && news.withResult) {
			return err
		}
		if printErr := printResult(a, result, v.text); printErr != nil {
			return printErr
		}
		return err
	})
}

// An action is a verb that has no result of its own: it runs until it is done and speaks for itself.
type action[A any] struct {
	name, short, long, example, cannot string
	exits                              []int
	defaults                           A

	run func(ctx context.Context, args A) error
}

// command builds the cobra command.
func (v action[A]) command(a *app) *cobra.Command {
	h := head{v.name, v.short, v.long, v.example, v.cannot, v.exits}
	return build(a, h, v.defaults, v.run)
}

// head is what both kinds of subcommand have in common.
type head struct {
	name, short, long, example, cannot string
	exits                              []int
}

// cannotKey is the annotation that carries head.cannot to [app.report].
const cannotKey = "cannot"

func build[A any](a *app, h head, defaults A, run func(ctx context.Context, args A) error) *cobra.Command {
	args := new(A)
	*args = defaults
	c := &cobra.Command{
		Use:                   h.name,
		Short:                 h.short,
		Long:                  h.long + "\n\n" + exitSection(h.exits),
		Example:               h.example,
		Annotations:           map[string]string{cannotKey: h.cannot},
		DisableFlagsInUseLine: true,
	}
	positional := bind(c.Flags(), args)
	if c.HasAvailableLocalFlags() {
		c.Use += " [flags]"
	}
	c.Use += positional.usage()
	c.RunE = func(c *cobra.Command, words []string) error {
		if err := positional.set(words); err != nil {
			return usage(c, "%v", err)
		}
		return run(c.Context(), *args)
	}
	return c
}

// noun groups verbs. Alone, or with a verb that does not exist, it is a usage error.
func noun(name, short, long string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:         name,
		Short:       short,
		Long:        long + "\n\n" + exitSection(nil),
		Annotations: map[string]string{cannotKey: ""},
		Args:        cobra.ArbitraryArgs,
	}
	c.RunE = func(c *cobra.Command, words []string) error {
		if len(words) == 0 {
			return usage(c, "%s needs a command", c.CommandPath())
		}
		return unknownCommand(c, words[0])
	}
	c.AddCommand(subs...)
	return c
}
