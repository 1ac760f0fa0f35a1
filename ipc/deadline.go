package ipc

import (
	"context"
	"time"
)

// watchLocked makes sure that expire runs at deadline. One timer per connection watches over the calls whose context has
// no deadline, as a timer for each would cost more than the rest of the call.
func (k *clientConn) watchLocked(deadline time.Time) {
	if !k.alarm.IsZero() && !deadline.Before(k.alarm) {
		return
	}
	k.alarm = deadline
	if k.timer == nil {
		k.timer = time.AfterFunc(time.Until(deadline), k.expire)
		return
	}
	k.timer.Reset(time.Until(deadline))
}

// expire gives up the calls whose time is up.
func (k *clientConn) expire() {
	now := time.Now()
	k.mu.Lock()
	k.alarm = time.Time{}
	var late []*pendingCall
	for f := range k.calls.all() {
		if f.call == nil {
			continue
		}
		switch deadline, watched := f.call.limit(); {
		case !watched:
		case deadline.After(now):
			k.watchLocked(deadline)
		default:
			late = append(late, f.call)
			f.call = nil
		}
	}
	k.mu.Unlock()
	for _, p := range late {
		k.cancel(p.id)
		k.end(p, context.DeadlineExceeded)
	}
}

func (k *clientConn) stopWatching() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.timer != nil {
		k.timer.Stop()
	}
}
