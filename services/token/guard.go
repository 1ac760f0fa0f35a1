package token

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
)

// Guard stands in front of the methods of a daemon: it knows which of them demand a token, and takes the tokens. A nil Guard
// demands none and accepts none.
type Guard struct {
	store *Store
	dirs  profile.Dirs
	noise throttle
}

// NewGuard returns a guard of the user's tokens. It does no I/O.
func NewGuard(dirs profile.Dirs) *Guard { return &Guard{store: Open(dirs), dirs: dirs} }

// Demand returns which methods the settings demand a token for. It reads them, each time: that takes some microseconds, and
// nobody has to restart a daemon to be obeyed. The error, of settings that make no sense, has a hint.
func (g *Guard) Demand() (Patterns, error) {
	settings, err := g.dirs.ReadSettings()
	if err != nil {
		return nil, g.errSettings("%w", err)
	}
	demand := Patterns(settings.Tokens.Require)
	err = demand.check()
	if demand.Cover(ipc.Ping.Name) || demand.Cover(ipc.Describe.Name) || demand.Cover(ipc.Health.Name) {
		err = errors.New("the methods ipc.* are open to everybody")
	}
	if err != nil {
		return nil, g.errSettings("cannot use the settings in %s: tokens.require: %w", g.dirs.Settings(), err)
	}
	return demand, nil
}

func (g *Guard) errSettings(format string, args ...any) error {
	return ipc.Errorf(ipc.PermissionDenied, format, args...).WithHint("edit " + g.dirs.Settings())
}

// Authorize is an [ipc.Server]'s Authorize: it spends a use of the token where the settings demand one. The error is
// ipc.PermissionDenied.
func (g *Guard) Authorize(ctx context.Context, m ipc.MethodInfo, text []byte) error {
	if demanded, err := g.Demands(m.Name); err != nil || !demanded {
		return err
	}
	caller := "a local process"
	if cred, ok := ipc.PeerFrom(ctx); ok && cred.PID > 0 {
		caller = fmt.Sprintf("process %d", cred.PID)
	}
	return g.Spend(ctx, text, m.Name, caller)
}

// Demands reports whether the settings, as they are now, demand a token for the method. While they are not in order nobody
// may call anything, and the error says why.
func (g *Guard) Demands(method string) (bool, error) {
	if g == nil {
		return false, nil
	}
	demand, err := g.Demand()
	if err != nil {
		return true, g.errSettings("nothing is permitted: %w", err)
	}
	return demand.Cover(method), nil
}

// patience is how long a caller waits for its turn with a token, each of which gets something onto a disk that may be slow: a
// process that was stopped in the middle of a use must not make a daemon hang. It is less than the 30 s of a call.
const patience = 20 * time.Second

// Check is [Store.Check] as a daemon answers it; see Spend.
func (g *Guard) Check(ctx context.Context, text []byte, method, caller string) error {
	if g == nil {
		return refusal(method, ErrInvalid)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return g.answer(g.store.Check(ctx, text, method), text, method, caller)
}

// Spend is [Store.Spend] as a daemon answers it: what is refused is recorded, and the error is ipc.PermissionDenied with a
// hint.
func (g *Guard) Spend(ctx context.Context, text []byte, method, caller string) error {
	if g == nil {
		return refusal(method, ErrInvalid)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return g.answer(g.store.Spend(ctx, text, method, caller), text, method, caller)
}

func (g *Guard) answer(err error, text []byte, method, caller string) error {
	if err == nil || !isRefusal(err) {
		return err
	}
	if missed, ok := g.noise.admit(time.Now()); ok {
		e := Event{Event: refused, Method: method, Caller: caller, Detail: err.Error()}
		if c, ok := parse(text); ok {
			e.Token = c.id
		}
		if missed > 0 {
			e.Detail += fmt.Sprintf("; and %d more that were refused meanwhile", missed)
		}
		if err := g.store.record(e); err != nil {
			return err
		}
	}
	return refusal(method, err)
}

// isRefusal reports whether it is the token's fault.
func isRefusal(err error) bool {
	for _, why := range []error{ErrMissing, ErrInvalid, ErrExpired, ErrSpent, ErrScope} {
		if errors.Is(err, why) {
			return true
		}
	}
	return false
}

// refusal says what was refused, why, and how to get what was missing.
func refusal(method string, why error) error {
	return ipc.Errorf(ipc.PermissionDenied, "not permitted to call %s: %w", method, why).
		WithHint("lnk token issue --method " + method + " --uses 1 | lnk --token-file - and the command again")
}

// throttle bounds how many refusals are recorded: somebody who keeps asking must not wash everything else out of the log.
type throttle struct {
	mu     sync.Mutex
	second time.Time // when the present second began
	count  int       // of the lines in it
	missed int
}

const refusalsPerSecond = 20

// admit reports whether another line may be written now, and how many were not since the last.
func (t *throttle) admit(now time.Time) (missed int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.second) >= time.Second {
		t.second, t.count = now, 0
	}
	if t.count == refusalsPerSecond {
		t.missed++
		return 0, false
	}
	t.count++
	missed, t.missed = t.missed, 0
	return missed, true
}
