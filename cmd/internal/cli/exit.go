package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
)

// Exit statuses; scripts rely on them, so the list only grows.
const (
	exitOK           = 0
	exitFailure      = 1
	exitUsage        = 2
	exitPartial      = 3
	exitNotFound     = 4
	exitConflict     = 5
	exitUnavailable  = 7
	exitNoKey        = 8
	exitNotPermitted = 9
	exitDeadline     = 124
	exitInterrupted  = 130
)

// exitMeaning is the table behind every EXIT STATUS section.
var exitMeaning = map[int]string{
	exitOK:           "success",
	exitFailure:      "failure; standard error says why",
	exitUsage:        "wrong usage: an unknown command or flag, a missing or malformed argument",
	exitPartial:      "done in part; standard error lists what failed",
	exitNotFound:     "not found",
	exitConflict:     "it exists already, or somebody else was faster",
	exitUnavailable:  "a service or the bus cannot be reached",
	exitNoKey:        "no key to sign with: no agent, a locked one, or one without the key",
	exitNotPermitted: "not permitted",
	exitDeadline:     "the time limit passed",
	exitInterrupted:  "interrupted",
}

const exitHeading = "EXIT STATUS"

// exitSection lists the statuses of a command for its help text.
func exitSection(more []int) string {
	codes := append([]int{exitOK, exitFailure, exitUsage}, more...)
	slices.Sort(codes)
	var b strings.Builder
	b.WriteString(exitHeading)
	for _, code := range codes {
		fmt.Fprintf(&b, "\n  %-3d  %s", code, exitMeaning[code])
	}
	return b.String()
}

// exitStatus maps an error to the exit status. It is the only place that does.
func exitStatus(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.status
	case errors.Is(err, errUsage):
		return exitUsage
	}
	if status, ok := fileStatus(err); ok {
		return status
	}
	switch ipc.CodeOf(err) {
	case ipc.BadRequest:
		return exitUsage
	case ipc.NotFound, ipc.UnknownMethod:
		return exitNotFound
	case ipc.AlreadyExists, ipc.Conflict:
		return exitConflict
	case ipc.Unavailable, ipc.GoingAway:
		return exitUnavailable
	case ipc.NoKey:
		return exitNoKey
	case ipc.PermissionDenied:
		return exitNotPermitted
	case ipc.DeadlineExceeded:
		return exitDeadline
	case ipc.Cancelled:
		return exitInterrupted
	}
	return exitFailure
}

// fileStatus is the exit status of an error of the file system, which has no code of ours.
func fileStatus(err error) (int, bool) {
	if errors.As(err, new(*ipc.Error)) {
		return 0, false
	}
	for cause, status := range map[error]int{fs.ErrNotExist: exitNotFound, fs.ErrExist: exitConflict, fs.ErrPermission: exitNotPermitted} {
		if errors.Is(err, cause) {
			return status, true
		}
	}
	return 0, false
}

// exitError ends lnk with a status of its own: that of a program which lnk ran in its place, or that of a result which was
// printed and is bad news. An empty message prints nothing, as whoever failed has spoken already.
type exitError struct {
	status     int
	message    string
	withResult bool // the result stands, and is printed
}

// Error returns the message.
func (e *exitError) Error() string { return e.message }

// someRead is a list of what could be read, which is printed although err says that there is more.
func someRead[T any](list []T, err error) ([]T, error) {
	if err == nil || len(list) == 0 {
		return list, err
	}
	return list, &exitError{exitPartial, err.Error(), true}
}

func asExit(err error) bool { return errors.As(err, new(*exitError)) }

var errUsage = errors.New("usage")

// usageError is a command line that makes no sense; the hint leads to the command's help.
type usageError struct{ message, hint string }

// Error returns the message.
func (e *usageError) Error() string { return e.message }

// Is makes errors.Is(err, errUsage) hold.
func (e *usageError) Is(target error) bool { return target == errUsage }

func usage(c *cobra.Command, format string, args ...any) error {
	path := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "lnk"), " ")
	return &usageError{fmt.Sprintf(format, args...), strings.TrimSpace("lnk help " + path)}
}

// unknownCommand suggests commands that look similar.
func unknownCommand(c *cobra.Command, word string) error {
	err := &usageError{message: fmt.Sprintf("there is no command %q", strings.TrimSpace(c.CommandPath()+" "+word)), hint: c.CommandPath() + " --help lists the commands"}
	c.SuggestionsMinimumDistance = 2
	if similar := c.SuggestionsFor(word); len(similar) > 0 {
		err.hint = fmt.Sprintf("did you mean %q?", c.CommandPath()+" "+similar[0])
	}
	return err
}

// report tells the error of a command on standard error and returns the exit status.
func (a *app) report(c *cobra.Command, err error) int {
	status := exitStatus(err)
	if err == nil || asExit(err) && err.Error() == "" {
		return status
	}
	message := err.Error()
	phrase := c.Annotations[cannotKey]
	if !strings.HasPrefix(message, "cannot ") && phrase != "" && !errors.Is(err, errUsage) && !asExit(err) {
		message = "cannot " + phrase + ": " + message
	}
	a.note("%s", strings.ReplaceAll(message, "\n", "; ")) // of errors.Join: a line is an error
	if hint := a.cure(err); hint != "" {
		a.note("hint: %s", hint)
	}
	return status
}

// cure is the hint of an error. Commands about keys are for the profile that was asked for.
func (a *app) cure(err error) string {
	hint := hintOf(err)
	if a.profile == "" {
		return hint
	}
	return strings.ReplaceAll(hint, "lnk key ", "lnk --profile "+a.profile+" key ")
}

func hintOf(err error) string {
	var wrong *usageError
	if errors.As(err, &wrong) {
		return wrong.hint
	}
	return ipc.HintOf(err)
}

// note writes one line to standard error.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.Stderr, "lnk: %s\n", fmt.Sprintf(format, args...))
}
