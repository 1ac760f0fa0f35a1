package units

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

const (
	raceRequests = 5000 // of each kind
	raceDaemons  = 10
	raceIdle     = 40 * time.Millisecond
)

// testExitRace times requests so that they hit the moment in which the daemon leaves. None may be lost, and none may
// be in doubt: written, but neither answered nor refused.
func (r *rig) testExitRace(t *testing.T) {
	for name, persistent := range map[string]bool{"connection per request": false, "persistent connection": true} {
		t.Run(name, func(t *testing.T) {
			var all raceResult
			var mu sync.Mutex
			var wg sync.WaitGroup
			for n := range raceDaemons {
				_, socket := r.peer(t, byte(16+n), idle(raceIdle.String()), "[Socket]\nTriggerLimitIntervalSec=0\n")
				wg.Go(func() {
					got := race(t.Context(), socket, persistent)
					mu.Lock()
					defer mu.Unlock()
					all.add(got)
				})
			}
			wg.Wait()
			t.Logf("%+v", all)
			if all.lost != nil || all.requests != raceRequests {
				t.Errorf("of %d requests were lost: %v", all.requests, all.lost)
			}
			if all.same < raceRequests/10 || all.fresh < raceRequests/10 {
				t.Errorf("the requests did not meet the exit: %+v", all)
			}
		})
	}
}

type raceResult struct {
	requests, same, fresh int
	lost                  error
}

func (a *raceResult) add(b raceResult) {
	a.requests += b.requests
	a.same += b.same
	a.fresh += b.fresh
	a.lost = errors.Join(a.lost, b.lost)
}

// race makes the requests of one daemon. Whether one met the same process again moves the next one later, else earlier and
// by more: so they gather around the exit, on a slow machine too, and most do not cost the start of a daemon.
func race(ctx context.Context, socket string, persistent bool) (res raceResult) {
	client := ipc.NewClient(socket, "lnk-rig")
	defer func() { _ = client.Close() }()
	wait, last := raceIdle, uint64(0)
	for i := range raceRequests / raceDaemons {
		time.Sleep(wait) // the moment of the request is what is tested
		report, err := ipc.Health.Call(ctx, client, ipc.Empty{})
		if !persistent {
			_ = client.Close()
			client = ipc.NewClient(socket, "lnk-rig")
		}
		step := time.Duration(1+i%7) * 300 * time.Microsecond
		res.requests++
		switch {
		case err != nil:
			res.lost = errors.Join(res.lost, err)
		case report.PID == last:
			res.same++
			wait += step
		default:
			res.fresh++
			wait -= 3 * step
		}
		last = report.PID
	}
	return res
}
