package units

import (
	"slices"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

const coldStarts = 20

// testColdStart measures what a caller waits for whose daemon does not run: connect, start, first answer. It prints the
// figures, as what is fast depends on the machine.
func (r *rig) testColdStart(t *testing.T) {
	id, socket := r.peer(t, 11, idle("1ms"), "[Socket]\nTriggerLimitIntervalSec=0\n")
	var took []time.Duration
	for range coldStarts {
		r.expect(t, "lnk-gitd@"+string(id)+".service", "ActiveState=inactive", "Result=success")
		took = append(took, firstAnswer(t, socket))
	}
	slices.Sort(took)
	t.Logf("connect to first answer of lnk-gitd, %d cold starts: min %v, median %v, p90 %v", coldStarts, took[0], took[len(took)/2], took[len(took)*9/10])
}

func firstAnswer(t *testing.T, socket string) time.Duration {
	t.Helper()
	c := ipc.NewClient(socket, "lnk-rig")
	defer func() { _ = c.Close() }()
	begin := time.Now()
	if _, err := ipc.Ping.Call(t.Context(), c, ipc.Empty{}); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}
