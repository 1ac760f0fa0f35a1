package busd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/peercred"
)

// defaultStore bounds the store on disk, in bytes: twice the stream, as compaction needs room.
const defaultStore = 128 << 20

// Config says where a bus keeps its events and how it treats those who connect. Dir must be set.
type Config struct {
	Dir      string                   // the store; made with mode 0700
	Log      *slog.Logger             // nil discards
	MaxStore int64                    // bytes on disk; 0 means 128 MiB
	PerTopic int64                    // events kept of one topic; 0 means 65536
	Role     func(peercred.Cred) Role // who is at the other end; nil means RoleOf
	Now      func() time.Time         // nil means time.Now
}

// Server is the bus. It starts its engine with the first connection and replaces one that fails.
type Server struct {
	config Config

	mu     sync.Mutex
	engine *engine // nil before the first connection and after a failure
	closed bool
	watch  sync.WaitGroup
}

// New returns a bus on the store in config.Dir. It does no I/O.
func New(config Config) *Server {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.MaxStore == 0 {
		config.MaxStore = defaultStore
	}
	if config.PerTopic == 0 {
		config.PerTopic = defaultPerTopic
	}
	if config.Role == nil {
		config.Role = RoleOf
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Server{config: config}
}

// ServeConn serves one client until it hangs up, is hung up on, or ctx ends. cred is what the kernel says about it.
// It closes conn.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn, cred peercred.Cred) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	role := s.config.Role(cred)
	log := s.config.Log.With("pid", cred.PID, "role", string(role))
	log.Debug("client connected")
	defer log.Debug("client gone")
	e, err := s.running()
	if err == nil {
		err = e.serve(conn, cred, role)
	}
	if err != nil {
		log.Error("cannot serve a client", "err", err)
		refuse(conn, err)
	}
}

// refuse tells a client why there is no bus, in the one way that NATS clients understand before the connection is
// set up: an error in place of the answer to their greeting. The number is the error's code in ipc.
func refuse(conn net.Conn, err error) {
	text := strings.NewReplacer("\r", " ", "\n", " ", "'", "’").Replace(err.Error())
	if conn.SetDeadline(time.Now().Add(writeDeadline)) == nil {
		fmt.Fprintf(conn, "INFO {\"server_name\":\"lnk-busd\",\"max_payload\":%d,\"headers\":true}\r\n-ERR 'lnk %d %s'\r\n", maxPayload, ipc.CodeOf(err), text)
	}
}

// running returns the engine, starting one if there is none that works.
func (s *Server) running() (*engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ipc.Errorf(ipc.GoingAway, "the bus is shutting down")
	}
	if s.engine != nil && s.engine.works() {
		return s.engine, nil
	}
	s.stopLocked()
	e, err := s.start()
	if err != nil {
		return nil, classify(err)
	}
	s.engine = e
	s.watch.Go(func() { s.replaceWhenUseless(e) })
	return e, nil
}

// start starts an engine; a store that cannot be read is set aside first. Then the numbers of events go on from the
// clock's milliseconds, which is beyond any number given out before, so that a subscriber that asks for an old number
// learns that events are gone rather than wait for a number that comes again.
func (s *Server) start() (*engine, error) {
	if err := os.MkdirAll(s.config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the bus's folder: %w", err)
	}
	e, err := startEngine(s.config, 1)
	if !errors.Is(err, errUnreadable) {
		return e, err
	}
	if !holdsEvents(s.config.Dir) && !errors.Is(err, errMissing) { // the server empties a block that it cannot read
		if err := os.RemoveAll(filepath.Join(s.config.Dir, storeFolder)); err != nil {
			return nil, fmt.Errorf("cannot remove a half-made store: %w", err)
		}
		return startEngine(s.config, 1)
	}
	now := s.config.Now()
	aside, asideErr := setAside(s.config.Dir, now)
	if asideErr != nil {
		return nil, errors.Join(err, asideErr)
	}
	s.config.Log.Error("the stored events cannot be read: the bus starts empty, subscribers may have missed events",
		"err", err, "kept_in", aside)
	return startEngine(s.config, uint64(now.UnixMilli()))
}

// classify gives an engine's failure to start its code and cure.
func classify(err error) error {
	if errors.Is(err, errFull) || isNoRoom(err) {
		return ipc.Errorf(ipc.ResourceExhausted, "cannot store events: %w", err)
	}
	return ipc.Errorf(ipc.Unavailable, "cannot start the bus: %w", err)
}

// replaceWhenUseless stops an engine that can no longer serve as it should: its clients are hung up on, so they come
// back and get a new one.
func (s *Server) replaceWhenUseless(e *engine) {
	e.watch()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == e {
		s.config.Log.Info("restarting the embedded server", "was_full", e.full)
		s.stopLocked()
	}
}

func (s *Server) stopLocked() {
	if s.engine == nil {
		return
	}
	s.engine.stop()
	s.engine = nil
}

// Close ends every connection and flushes the store. A closed bus stays closed.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.stopLocked()
	s.mu.Unlock()
	s.watch.Wait()
}
