package activate

import (
	"testing"
	"testing/synctest"
	"time"
)

const minute = time.Minute

// leavesAfter returns how long a server with nothing to accept stays, while script plays.
func leavesAfter(t *testing.T, a *Activity, idle time.Duration, script func()) time.Duration {
	t.Helper()
	start := time.Now()
	a.Touch()
	r := &run{Server: Server{Activity: a, Idle: idle}}
	go script()
	if err := r.awaitReason(t.Context(), nil); err != nil {
		t.Error(err)
	}
	return time.Since(start)
}

func TestIdleTime(t *testing.T) {
	tests := map[string]struct {
		script func(a *Activity)
		want   time.Duration
	}{
		"nothing": {func(*Activity) {}, 10 * minute},
		"a request at once": {func(a *Activity) {
			a.Add(1)
			a.Add(-1)
		}, 10 * minute},
		"a request in the middle": {func(a *Activity) {
			time.Sleep(4 * minute)
			a.Add(1)
			time.Sleep(minute)
			a.Add(-1)
		}, 15 * minute},
		"a stream over several idle times": {func(a *Activity) {
			time.Sleep(minute)
			a.Add(1)
			time.Sleep(35 * minute)
			a.Add(-1)
		}, 46 * minute},
		"overlapping": {func(a *Activity) {
			a.Add(1)
			time.Sleep(minute)
			a.Add(1)
			time.Sleep(minute)
			a.Add(-1)
			time.Sleep(20 * minute)
			a.Add(-1)
		}, 32 * minute},
		"touched just before the end": {func(a *Activity) {
			time.Sleep(10*minute - 1)
			a.Touch()
		}, 20*minute - 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var a Activity
				if got := leavesAfter(t, &a, 10*minute, func() { test.script(&a) }); got != test.want {
					t.Errorf("left after %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestNeverIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &run{Server: Server{Activity: new(Activity)}}
		left := make(chan struct{})
		failed := make(chan error)
		go func() {
			_ = r.awaitReason(t.Context(), failed)
			close(left)
		}()
		time.Sleep(1000 * time.Hour)
		select {
		case <-left:
			t.Error("a server without idle time left")
		default:
		}
		failed <- nil
		<-left
	})
}
