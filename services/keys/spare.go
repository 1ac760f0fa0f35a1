package keys

import (
	"net"
	"os"
	"sync"
	"time"
)

// linger is how long an idle connection to an agent is kept. It is short, as only the next request shows that an agent hung up.
const linger = time.Second

// A spare is room for one idle connection to an agent, so that what follows at once need not dial: the signature after the look
// whether the agent is there, the next of many signatures. Whoever takes the connection has it alone, so that nobody
// waits behind another's prompt. A nil spare keeps nothing.
type spare struct {
	mu      sync.Mutex
	linger  time.Duration // of the idle connection
	conn    *net.UnixConn // nil if there is none
	socket  os.FileInfo   // that it was dialled on
	since   time.Time     // when it was put here
	waiting bool          // for hangUp
}

func newSpare() *spare { return &spare{linger: linger} }

// take returns the connection, or nil if there is none or the agent's path leads to another socket by now.
func (s *spare) take(socket os.FileInfo) *net.UnixConn {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.conn
	s.conn = nil
	if conn == nil || os.SameFile(s.socket, socket) && s.socket.ModTime().Equal(socket.ModTime()) {
		return conn
	}
	conn.Close()
	return nil
}

// put keeps the connection for a moment, or closes it if there is no room.
func (s *spare) put(conn *net.UnixConn, socket os.FileInfo) {
	if s == nil || !s.keep(conn, socket) {
		conn.Close()
	}
}

func (s *spare) keep(conn *net.UnixConn, socket os.FileInfo) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return false
	}
	s.conn, s.socket, s.since = conn, socket, time.Now()
	if !s.waiting {
		s.waiting = true
		time.AfterFunc(s.linger, s.hangUp)
	}
	return true
}

// hangUp closes a connection that has not been used for long enough, and otherwise comes back. Setting a timer for each use
// would cost more.
func (s *spare) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := time.Since(s.since)
	switch {
	case s.conn != nil && idle < s.linger:
		time.AfterFunc(s.linger-idle, s.hangUp)
		return
	case s.conn != nil:
		s.conn.Close()
		s.conn = nil
	}
	s.waiting = false
}
