package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
)

// TestExitStatus is the table that scripts rely on (DESIGN, section 11).
func TestExitStatus(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{ipc.Errorf(ipc.Internal, "x"), 1},
		{ipc.Errorf(ipc.Corrupt, "x"), 1},
		{ipc.Errorf(ipc.TooLarge, "x"), 1},
		{ipc.Errorf(ipc.Unsupported, "x"), 1},
		{ipc.Errorf(ipc.ResourceExhausted, "x"), 1},
		{&usageError{"x", ""}, 2},
		{ipc.Errorf(ipc.BadRequest, "x"), 2},
		{&exitError{status: 3}, 3},
		{ipc.Errorf(ipc.NotFound, "x"), 4},
		{ipc.Errorf(ipc.UnknownMethod, "x"), 4},
		{fs.ErrNotExist, 4},
		{ipc.Errorf(ipc.AlreadyExists, "x"), 5},
		{ipc.Errorf(ipc.Conflict, "x"), 5},
		{fs.ErrExist, 5},
		{ipc.Errorf(ipc.Unavailable, "x: %w", fs.ErrNotExist), 7},
		{ipc.Errorf(ipc.GoingAway, "x"), 7},
		{ipc.Errorf(ipc.NoKey, "x"), 8},
		{ipc.Errorf(ipc.PermissionDenied, "x"), 9},
		{fs.ErrPermission, 9},
		{ipc.Errorf(ipc.DeadlineExceeded, "x"), 124},
		{context.DeadlineExceeded, 124},
		{ipc.Errorf(ipc.Cancelled, "x"), 130},
		{context.Canceled, 130},
		{&exitError{status: 42}, 42},
	} {
		if got := exitStatus(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
		if wrapped := fmt.Errorf("outer: %w", test.err); test.err != nil && exitStatus(wrapped) != test.want {
			t.Errorf("%v: %d, want %d", wrapped, exitStatus(wrapped), test.want)
		}
	}
}

func TestReport(t *testing.T) {
	c := &cobra.Command{Annotations: map[string]string{cannotKey: "do it"}}
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("no reason"), "lnk: cannot do it: no reason\n"},
		{errors.New("cannot open x: no reason"), "lnk: cannot open x: no reason\n"},
		{ipc.Errorf(ipc.NoKey, "no key").WithHint("lnk key add"), "lnk: cannot do it: no key\nlnk: hint: lnk key add\n"},
		{fmt.Errorf("outer: %w", ipc.Errorf(ipc.NoKey, "no key").WithHint("lnk key add")), "lnk: cannot do it: outer: no key\nlnk: hint: lnk key add\n"},
		{&usageError{"what?", "lnk help"}, "lnk: what?\nlnk: hint: lnk help\n"},
		{&exitError{status: 3, message: "some failed"}, "lnk: some failed\n"},
		{&exitError{status: 3}, ""},
		{nil, ""},
	} {
		var stderr bytes.Buffer
		(&app{State: State{Stderr: &stderr}}).report(c, test.err)
		if stderr.String() != test.want {
			t.Errorf("%v: %q, want %q", test.err, stderr.String(), test.want)
		}
	}
}
