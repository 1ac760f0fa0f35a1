package ipc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"
)

// Activity is told of every request in flight: +1 when it was read, -1 when its final answer is queued.
type Activity interface{ Add(delta int) }

// A Server answers requests on connections that somebody else accepted.
type Server struct {
	Mux      *Mux         // must be set
	Log      *slog.Logger // of defects and lost connections, and, at level debug, of every request; nil discards
	Limits   Limits
	Activity Activity // nil if nobody wants to know

	// Authorize is asked once about each call that is about to run, before its arguments are decoded: an error is the
	// answer, and nothing runs. Token is the token header of RFC 0682, nil if there is none. A call that is refused for
	// another reason, or has ended before it could start, never gets here; so a hook that counts does not count what the
	// client is going to send again. It may wait: no other call waits along. The methods ipc.* stay open. Nil allows all.
	Authorize func(ctx context.Context, m MethodInfo, token []byte) error
}

// ServeConn serves c until the peer hangs up, breaks the protocol, or ctx ends; then it cancels the handlers in flight,
// waits for them and closes c.
//
// When drain closes, the server announces that it goes away, serves what the peer has sent until it sees the end of the
// input (the caller arranges for one, by CloseRead), answers what is in flight, repeats the announcement, so that
// the peer knows that it got every answer it will get, and returns. New streams are refused meanwhile. Drain may be nil.
func (s *Server) ServeConn(ctx context.Context, c net.Conn, drain <-chan struct{}) {
	k := newServerConn(ctx, s, c, drain)
	defer k.close()
	stopWatching := k.watchDrain()
	err := k.readRequests()
	stopWatching()
	k.log(err)
	if endOfInput(err) && k.isDraining() {
		k.serveOut() // half a frame at the end is no request: its sender gets EPIPE for the other half
		return
	}
	k.hangUp(ctx.Err() != nil)
}

func endOfInput(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// stopTime is how long handlers get to notice that their context ended, when a connection ends.
const stopTime = 400 * time.Millisecond

func (k *serverConn) log(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || k.ctx.Err() != nil || k.srv.Log == nil {
		return
	}
	k.srv.Log.Warn("connection ended", "err", err)
}

// watchDrain announces going away when drain closes, or makes the reader stop when the context ends.
func (k *serverConn) watchDrain() (stop func()) {
	stopContext := context.AfterFunc(k.parent, func() { _ = k.net.SetReadDeadline(time.Unix(1, 0)) })
	if k.drain == nil {
		return func() { stopContext() }
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-k.drain:
			k.goAway()
		case <-done:
		}
	}()
	return func() {
		stopContext()
		close(done)
		<-ended
	}
}

// isDraining reports whether the drain was asked for, even if its announcement is still being made.
func (k *serverConn) isDraining() bool {
	select {
	case <-k.drain:
		return true
	default:
		return false
	}
}

// serveOut answers what is in flight, then says that this was all.
func (k *serverConn) serveOut() {
	k.waitForTasks(k.parent, time.Time{})
	if k.parent.Err() != nil {
		k.hangUp(true)
		return
	}
	k.goAway()
	_ = k.out.drain(k.parent, time.Time{}, 0)
}

// hangUp cancels what is in flight. If the server stops although the peer may still be listening, it answers first.
func (k *serverConn) hangUp(answer bool) {
	k.cancel()
	background := context.WithoutCancel(k.parent)
	k.waitForTasks(background, time.Now().Add(stopTime))
	if answer {
		k.failTasks(Errorf(Unavailable, "the daemon was stopped while it ran this call"))
		_ = k.out.drain(background, time.Now().Add(stopTime), 0)
	}
}
