package busd

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/lnk-suite/lnk/ipc/peercred"
)

const (
	maxEvent      = 1 << 20         // bytes of one event
	maxPayload    = 8 << 20         // bytes of one NATS message: the server warns above it
	maxPending    = 8 << 20         // bytes waiting for one client before it is hung up on; at least maxPayload
	writeDeadline = 2 * time.Second // a client that takes nothing for so long is hung up on
	maxMemory     = 16 << 20        // bytes of streams and consumers in memory
)

// An engine is one run of the embedded server. After a write error the server refuses everything that comes
// until it is started again, so an engine is thrown away when it fails, and the next connection gets a new one.
type engine struct {
	config Config
	ns     *server.Server
	roles  roles
	ids    atomic.Uint32
	full   bool // the disk had no room when it started: everything can be read, nothing stored

	suspicion chan struct{} // an error was logged: look at the store's health
	useless   chan struct{} // closed when another engine would serve better
	stopped   chan struct{} // closed by stop
}

// options are the embedded server's settings: no port of any kind, no signal handlers, and a store that is synced on
// every message.
func options(dir string, maxStore int64, auth server.Authentication) *server.Options {
	return &server.Options{
		ServerName: "lnk-busd", DontListen: true, NoSigs: true, NoSystemAccount: true,
		ProxyProtocol: true, CustomClientAuthentication: auth,
		MaxPayload: maxPayload, MaxPending: maxPending, WriteDeadline: writeDeadline,
		JetStream: true, DisableJetStreamBanner: true, StoreDir: dir, SyncAlways: true,
		JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore,
	}
}

// startEngine starts the server on the store in c.Dir and makes sure of the stream. errUnreadable means that the store
// is there and cannot be used.
func startEngine(c Config, firstSeq uint64) (*engine, error) {
	free, err := freeSpace(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot tell how much space is left in %s: %w", c.Dir, err)
	}
	before := takeMark(c.Dir)
	e := &engine{config: c, full: free < reserve, suspicion: make(chan struct{}, 1), useless: make(chan struct{}), stopped: make(chan struct{})}
	maxStore := c.MaxStore
	if e.full {
		c.Log.Warn("the disk is full: stored events can be read, new ones are refused until there is room", "folder", c.Dir, "free", free, "needed", reserve)
		maxStore = 1 // what is stored exceeds it, so the server answers every event with "insufficient resources"
	}
	if e.ns, err = server.NewServer(options(c.Dir, maxStore, &e.roles)); err != nil {
		return nil, fmt.Errorf("cannot set up the embedded server: %w", err)
	}
	messages := &natsLog{log: c.Log, trouble: e.suspect}
	e.ns.SetLoggerV2(messages, false, false, false)
	e.ns.Start()
	if err := e.verify(messages, before, firstSeq); err != nil {
		e.shutDown()
		return nil, err
	}
	return e, nil
}

// errUnreadable says that a store exists but its events cannot be read.
var errUnreadable = errors.New("unreadable store")

// verify checks that the server came up with the events that the store holds. On a full disk nothing is called
// unreadable: there, recovery fails for want of space.
func (e *engine) verify(messages *natsLog, before mark, firstSeq uint64) error {
	if reason := messages.fatalMessage(); reason != "" {
		return errors.New(reason)
	}
	if trouble := e.trouble(); trouble != "" {
		if e.full {
			return fmt.Errorf("%w: %s", errFull, trouble)
		}
		return fmt.Errorf("%w: %s", errUnreadable, trouble)
	}
	if err := before.compare(e.state()); err != nil && !e.full {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	err := e.makeStream(firstSeq)
	if err == nil && !e.full {
		err = before.compare(e.state()) // once more: with an index, the server may look into the blocks only now
	}
	switch {
	case err == nil:
		return nil
	case e.full || isNoRoom(err):
		return fmt.Errorf("%w: %w", errFull, err)
	}
	return fmt.Errorf("%w: %w", errUnreadable, err)
}

// trouble says what keeps the stream from being read or written, "" if nothing does. The server's check fails for
// other reasons too, with other status codes: a stream that does not exist yet, a busy machine.
func (e *engine) trouble() string {
	health := e.ns.Healthz(&server.HealthzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Stream: StreamName})
	if health.StatusCode != http.StatusServiceUnavailable {
		return ""
	}
	return health.Error
}

func (e *engine) makeStream(firstSeq uint64) error {
	conn, err := e.ns.InProcessConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	head, forget := e.register(peercred.Cred{}, self)
	defer forget()
	a, err := newAdmin(conn, head)
	if err != nil {
		return err
	}
	return ensureStream(a, e.config.PerTopic, firstSeq, e.full)
}

// register gives a connection its role and returns the header that refers to it; forget is called when it ends.
func (e *engine) register(cred peercred.Cred, role Role) (head []byte, forget func()) {
	id := e.ids.Add(1)
	e.roles.byID.Store(id, role)
	return proxyHeader(cred.UID, cred.PID, id), func() { e.roles.byID.Delete(id) }
}

// serve connects a client with the server until either hangs up.
func (e *engine) serve(client net.Conn, cred peercred.Cred, role Role) error {
	pipe, err := e.ns.InProcessConn()
	if err != nil {
		return fmt.Errorf("cannot connect to the embedded server: %w", err)
	}
	head, forget := e.register(cred, role)
	defer forget()
	pump(client, pipe, head)
	return nil
}

// suspect asks for a look at the store's health; it is called for every error that the server logs, possibly under
// the server's locks. After a failed write the server goes on without answering publishers, and says so only there.
func (e *engine) suspect() {
	select {
	case e.suspicion <- struct{}{}:
	default:
	}
}

// stop ends the server and with it every connection; what is stored is flushed. It is called once. After a failure
// there is no mark: what the server believes to have stored may not be on disk.
func (e *engine) stop() {
	state := e.state()
	failed := e.full || e.trouble() != ""
	e.shutDown()
	if failed {
		return
	}
	if err := leaveMark(e.config.Dir, mark{Last: state.LastSeq, Deleted: state.NumDeleted}); err != nil {
		e.config.Log.Warn("cannot note what is stored", "err", err)
	}
}

func (e *engine) shutDown() {
	close(e.stopped)
	e.ns.Shutdown()
	e.ns.WaitForShutdown()
}

// fullCheck is how often an engine that started on a full disk looks for room.
const fullCheck = time.Second

// watch returns once the engine is stopped or useless: it cannot store any more, or it started on a full disk and
// there is room now. In the second case it has closed e.useless.
func (e *engine) watch() {
	var tick <-chan time.Time
	if e.full {
		ticker := time.NewTicker(fullCheck)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-e.stopped:
			return
		case <-e.suspicion:
			if e.trouble() == "" {
				continue
			}
		case <-tick:
			if !hasRoom(e.config.Dir) {
				continue
			}
		}
		close(e.useless)
		return
	}
}

// works tells whether new connections may use the engine.
func (e *engine) works() bool {
	select {
	case <-e.useless:
		return false
	default:
		return !e.full || !hasRoom(e.config.Dir)
	}
}
