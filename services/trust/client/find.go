package client

import (
	"context"
	"slices"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// maxAsked is the number of roles below targets that are asked for one target (5.6.7).
const maxAsked = 32

// Find says what the metadata says about a target. Roles are asked in the order in which they are named, each before those
// that it delegates to and these before the next; none is asked twice, and nobody after a terminating one (5.6.7). Refresh must
// have succeeded before. The error is ipc.NotFound if nobody knows the target, or says what is wrong with a role.
func (c *Client) Find(ctx context.Context, target string) (trust.Target, error) {
	asked := map[string]bool{}
	for waiting := []delegation{c.top()}; len(waiting) > 0; {
		next := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if asked[next.name] {
			continue
		}
		if len(asked) > maxAsked {
			return trust.Target{}, ipc.Errorf(ipc.NotFound, "%d roles were asked for %q, and no more are", len(asked), target)
		}
		asked[next.name] = true
		t, err := c.load(ctx, next)
		if err != nil {
			return trust.Target{}, err
		}
		if file, ok := t.files[target]; ok {
			return file, nil
		}
		roles, last := t.asked(target)
		if last {
			waiting = waiting[:0]
		}
		slices.Reverse(roles)
		waiting = append(waiting, roles...)
	}
	return trust.Target{}, ipc.Errorf(ipc.NotFound, "the repository has no target %q", target)
}
