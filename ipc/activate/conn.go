package activate

import (
	"net"
	"sync"

	"github.com/lnk-suite/lnk/ipc/peercred"
)

// Conn is an accepted connection of the user that the daemon runs as.
type Conn struct {
	*net.UnixConn
	// Cred is who connected. Its UID is ours.
	Cred peercred.Cred
	// Name is the name of the listener that it came from.
	Name string

	conns *conns
}

// Draining returns a channel that is closed when the daemon leaves. From then on reading from the connection gives what
// was queued, and EOF after that; whoever reads EOF without being a hung-up client finds the channel closed.
func (c *Conn) Draining() <-chan struct{} { return c.conns.draining }

// Hijack says that the connection carries a dialogue of another protocol from now on, one that must not see EOF in its
// middle: leaving then does not shut down its reading side, and closes it only when the grace period is over. The handler
// counts the dialogue in [Activity] before it calls this. The result is false when the daemon is leaving already and the
// reading side is shut; the handler then tells its client to try again.
func (c *Conn) Hijack() bool {
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	if c.conns.left {
		return false
	}
	c.conns.open[c] = hijacked
	return true
}

type connState uint8

const (
	ours connState = iota
	hijacked
)

// conns are the connections of one Serve.
type conns struct {
	draining chan struct{}
	handlers sync.WaitGroup

	mu   sync.Mutex
	open map[*Conn]connState
	left bool // set once: from then on every connection is read-only up to what is queued
}

func newConns() *conns {
	return &conns{draining: make(chan struct{}), open: make(map[*Conn]connState)}
}

// add registers c; one that comes late is shut like the others were.
func (s *conns) add(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = ours
	s.handlers.Add(1)
	if s.left {
		_ = c.CloseRead()
	}
}

func (s *conns) remove(c *Conn) {
	_ = c.Close()
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.handlers.Done()
}

// drain lets every connection end after what is queued. A failing CloseRead means that the other end is gone.
func (s *conns) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	close(s.draining) // first: a reader must not take the end of its input for a client that hung up
	for c, state := range s.open {
		if state == ours {
			_ = c.CloseRead()
		}
	}
}

// cut closes what is still open.
func (s *conns) cut() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close()
	}
	return len(s.open)
}

// ended returns a channel that is closed when every handler has returned.
func (s *conns) ended() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		s.handlers.Wait()
		close(done)
	}()
	return done
}
