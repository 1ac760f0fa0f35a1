package activate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc/peercred"
)

// Server accepts connections and decides when to leave. Handle must be set; it must not be changed while serving.
type Server struct {
	// Handle serves one connection and returns when that is done; the connection is closed afterwards. Its ctx outlives
	// the ctx of Serve: it ends when the grace period is over, and everything must be dropped.
	Handle func(ctx context.Context, c *Conn)
	// Activity tells what is going on. Nil for a server whose only activity is connections coming in.
	Activity *Activity
	// Idle is how long nothing may go on before the server leaves. Zero: it stays until its ctx ends.
	Idle time.Duration
	// Grace is how long handlers may finish when the server is told to leave; zero for 5 s. A server that leaves because it
	// is idle grants the same to handlers that hang, and any time to what is in flight.
	Grace time.Duration
	// HoldConns counts every connection as activity: for a protocol without requests, where a client that only listens is
	// a user all the same.
	HoldConns bool
	// Leaving is called once when the server begins to leave. May be nil.
	Leaving func()
	// Log gets refused callers and failing accepts. Nil for none.
	Log *slog.Logger
}

const defaultGrace = 5 * time.Second

// afterCut is how long handlers may take to notice that their connection is closed and their ctx ended.
const afterCut = time.Second

// Serve serves ls until it is idle, ctx ends or a listener fails, then leaves as the package describes and closes ls.
// The error is nil for idle and ctx, also when connections had to be cut; it is not nil when a listener failed, or a
// handler did not return even then.
func (s *Server) Serve(ctx context.Context, ls ...Listener) error {
	r := &run{Server: *s, ls: ls, conns: newConns()}
	if r.Activity == nil {
		r.Activity = new(Activity)
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if r.Grace == 0 {
		r.Grace = defaultGrace
	}
	r.Activity.Touch()
	handlerCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	err := r.acceptUntilLeaving(ctx, handlerCtx)
	if r.Leaving != nil {
		r.Leaving()
	}
	r.closeListeners(handlerCtx)
	r.conns.drain()
	return errors.Join(err, r.wait(ctx, cancel))
}

// run is one call of Serve.
type run struct {
	Server
	ls    []Listener
	conns *conns
}

// acceptUntilLeaving returns when no accept loop runs any more and the server is to leave.
func (r *run) acceptUntilLeaving(ctx, handlerCtx context.Context) error {
	for {
		loops := r.accept(handlerCtx)
		err := r.awaitReason(ctx, loops.failed)
		loops.stop(r.ls)
		if err == nil {
			err = loops.err()
		}
		// Somebody may have come between the decision and the end of the loops. Nothing is shut yet: resume.
		if err != nil || ctx.Err() != nil || r.Activity.remaining(r.Idle) <= 0 {
			return err
		}
	}
}

// awaitReason waits until the server is idle, ctx ends (both nil), or a listener fails.
func (r *run) awaitReason(ctx context.Context, failed <-chan error) error {
	var idle <-chan time.Time
	var timer *time.Timer
	if r.Idle > 0 {
		timer = time.NewTimer(r.Activity.remaining(r.Idle))
		defer timer.Stop()
		idle = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-idle:
			left := r.Activity.remaining(r.Idle)
			if left <= 0 {
				return nil
			}
			timer.Reset(left)
		}
	}
}

// closeListeners closes what was given to Serve. A path that we bound ourselves has no service manager that keeps the
// queue: nobody may find it any more, and whoever is in the queue is let in.
func (r *run) closeListeners(handlerCtx context.Context) {
	for _, l := range r.ls {
		l.unlink()
	}
	for _, l := range r.ls {
		if !l.Activated {
			r.letIn(handlerCtx, l)
		}
		_ = l.UnixListener.Close()
	}
}

// lastCall is how long a bound path still accepts after it was unlinked and its queue is empty: a connect that had found the
// path needs a little.
const lastCall = 5 * time.Millisecond

// letIn accepts until nobody has come for lastCall. It looks before it accepts, as a deadline would pass on a busy machine
// before the queue was looked at.
func (r *run) letIn(ctx context.Context, l Listener) {
	_ = l.SetDeadline(time.Time{})
	for somebodyWaits(l.UnixListener, lastCall) {
		uc, err := l.AcceptUnix()
		if err != nil {
			r.Log.Error("cannot let in who waits", "err", err, "socket", l.Name)
			return
		}
		r.serveConn(ctx, uc, l.Name)
	}
}

// wait waits for the handlers: as long as they like while something is in flight and ctx has not ended, else Grace.
func (r *run) wait(ctx context.Context, cancel context.CancelFunc) error {
	ended := r.conns.ended()
	timer := time.NewTimer(r.Grace)
	defer timer.Stop()
	told := ctx.Done()
	for {
		select {
		case <-ended:
			return nil
		case <-told:
			told = nil
			timer.Reset(r.Grace)
		case <-timer.C:
			if ctx.Err() == nil && r.Activity.InFlight() > 0 {
				timer.Reset(r.Grace)
				continue
			}
			cancel()
			return r.cut(ended)
		}
	}
}

func (r *run) cut(ended <-chan struct{}) error {
	n := r.conns.cut()
	r.Log.Warn("cut connections that did not end in time", "connections", n, "grace", r.Grace)
	select {
	case <-ended:
		return nil
	case <-time.After(afterCut):
		return fmt.Errorf("cannot leave cleanly: %d connections have handlers that do not return", n)
	}
}

// serveConn checks who called, before a byte is read, and hands the connection to its handler.
func (r *run) serveConn(ctx context.Context, uc *net.UnixConn, name string) {
	r.began()
	cred, err := peercred.Of(uc)
	if err == nil && cred.UID != uint32(os.Geteuid()) {
		err = fmt.Errorf("the caller has uid %d, only %d is served", cred.UID, os.Geteuid())
	}
	if err != nil {
		r.Log.Warn("refused a connection", "err", err, "socket", name, "pid", cred.PID)
		_ = uc.Close()
		r.ended()
		return
	}
	c := &Conn{UnixConn: uc, Cred: cred, Name: name, conns: r.conns}
	r.conns.add(c)
	go func() {
		defer r.ended()
		defer r.conns.remove(c)
		r.Handle(ctx, c)
	}()
}

// began runs between accept and everything else, in the accept loop: so when the loops have ended, every connection
// that was taken from the queue is accounted for.
func (r *run) began() {
	r.Activity.Touch()
	if r.HoldConns {
		r.Activity.Add(1)
	}
}

func (r *run) ended() {
	if r.HoldConns {
		r.Activity.Add(-1)
	}
}

// loops are the running accept loops, one per listener.
type loops struct {
	wg      sync.WaitGroup
	failed  chan error
	stopped chan struct{}
}

// accept starts a loop per listener.
func (r *run) accept(ctx context.Context) *loops {
	a := &loops{failed: make(chan error, len(r.ls)), stopped: make(chan struct{})}
	for _, l := range r.ls {
		_ = l.SetDeadline(time.Time{})
		a.wg.Go(func() {
			if err := r.acceptLoop(ctx, l, a.stopped); err != nil {
				a.failed <- err
			}
		})
	}
	return a
}

// stop ends the loops and waits for them.
func (a *loops) stop(ls []Listener) {
	close(a.stopped)
	for _, l := range ls {
		_ = l.SetDeadline(time.Unix(1, 0))
	}
	a.wg.Wait()
}

func (a *loops) err() error {
	select {
	case err := <-a.failed:
		return err
	default:
		return nil
	}
}

// acceptLoop returns nil at the deadline of the listener.
func (r *run) acceptLoop(ctx context.Context, l Listener, stopped <-chan struct{}) error {
	for {
		uc, err := l.AcceptUnix()
		switch {
		case err == nil:
			r.serveConn(ctx, uc, l.Name)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case retryable(err):
			r.Log.Error("cannot accept for now", "err", err, "socket", l.Name)
			select {
			case <-stopped:
				return nil
			case <-time.After(acceptPause):
			}
		default:
			return fmt.Errorf("cannot accept on %s: %w", l.Name, err)
		}
	}
}

// acceptPause lets descriptors come free; the caller waits in the queue meanwhile.
const acceptPause = 50 * time.Millisecond
