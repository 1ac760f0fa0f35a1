package gitd

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lnk-suite/lnk/services/project"
)

// Whoever has waited for others to publish has less time for events of its own: a daemon that is told to leave while the bus
// hangs must have answered before it is cut off.
func TestWaitCountsAsPublishing(t *testing.T) {
	state := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := &outbox{state: state, tracks: map[project.URN]*track{}}
		urn := project.NewURN(project.OID{1})
		others := o.track(urn)
		if err := others.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(publishLimit/4, others.give)
		mine, left, err := o.begin(t.Context(), urn)
		if err != nil || left != publishLimit*3/4 {
			t.Fatalf("%v are left, %v", left, err)
		}
		mine.give()
	})
}
