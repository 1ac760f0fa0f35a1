package activate

import (
	"sync/atomic"
	"time"
)

// Activity counts what keeps a daemon from leaving: requests, streams, child processes, transfers. The zero value is
// ready; it starts to be idle with its first look. It must not be copied. All methods may be called at any time from any
// goroutine.
type Activity struct {
	inFlight atomic.Int64
	last     atomic.Int64 // when something last ended or came, in nanoseconds since epoch
}

// epoch is where Activity counts from: differences of time.Since are monotonic, so a clock that is set changes nothing.
var epoch = time.Now()

// Add changes the number of things in flight by delta: +1 when one begins, -1 when it has ended, results written.
func (a *Activity) Add(delta int) {
	if delta < 0 {
		a.Touch() // before the counter: whoever sees zero also sees this time
	}
	a.inFlight.Add(int64(delta))
}

// Touch lets the idle time start anew, for something that has no length.
func (a *Activity) Touch() { a.last.Store(int64(time.Since(epoch))) }

// InFlight returns how many things are going on now.
func (a *Activity) InFlight() int { return int(a.inFlight.Load()) }

// remaining returns how long nothing more may happen until idle is over; zero or less when it is. While something is in
// flight that is at least idle.
func (a *Activity) remaining(idle time.Duration) time.Duration {
	if a.inFlight.Load() > 0 {
		return idle
	}
	return idle - (time.Since(epoch) - time.Duration(a.last.Load()))
}
