// Package gitd is the engine of lnk-gitd: it runs the system's git behind one UNIX socket, lets nothing into a project
// but what the peer's key signs, and turns every ref that moved into an event.
//
// By the first byte of a connection it speaks CBOR RPC (services/git), SSH (sshd), or git's native request line. For the
// latter it reads the line and then gives the socket itself to git upload-pack or receive-pack; it copies nothing. What a push
// changes is decided in the hook proc-receive: one signature, one transaction of refs and signed refs, one event per ref.
//
// It does not own what projects and signed refs are (services/project), nor the bus.
package gitd

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/git/gitd/sshd"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
)

// Config says what a server runs with. All but Limits must be set.
type Config struct {
	daemon.Env
	Git    string // path of the git program
	Hook   string // path of lnk-git-hook
	Limits Limits
	pace   pace // of housekeeping; zero for the usual one
}

// Server serves the git socket of one peer.
type Server struct {
	peer         peer.ID
	log          *slog.Logger
	activity     *activate.Activity
	engine       *engine
	repositories *repositories
	outbox       *outbox
	housekeeper  *housekeeper
	agents       agents
	audit        *keys.AuditLog
	slots        chan struct{} // one value per transfer under way
	rpc          ipc.Server
	ssh          *sshd.Server
	cancel       context.CancelFunc
}

// hookProgram is the file name of the hook, which is installed beside the daemon.
const hookProgram = "lnk-git-hook"

// Start makes the server of lnk-gitd with the system's git.
func Start(ctx context.Context, env daemon.Env) (daemon.Service, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("cannot find git: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find the folder of lnk-gitd: %w", err)
	}
	return New(ctx, Config{Env: env, Git: program, Hook: filepath.Join(filepath.Dir(self), hookProgram)})
}

// New returns a server that works until ctx ends or Close. It begins at once, in the background, to publish the events
// that a former process could not.
func New(ctx context.Context, c Config) (*Server, error) {
	state := filepath.Join(c.Dirs.State, "gitd", string(c.Peer))
	hooks := filepath.Join(state, "hooks")
	if err := makeHooks(hooks, c.Hook); err != nil {
		return nil, err
	}
	limits := c.Limits.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	engine := &engine{git: c.Git, hooks: hooks, searchPath: c.Getenv("PATH"), limits: limits}
	s := &Server{
		peer: c.Peer, log: c.Log, activity: c.Activity, engine: engine, cancel: cancel,
		repositories: &repositories{
			store: project.Store{Dir: c.Dirs.Storage()}, engine: engine, peer: c.Peer, state: state,
			open: map[project.URN]*repository{},
		},
		outbox: &outbox{
			bus: pubsub.NewClient(c.Dirs.Socket("bus", ""), "lnk-gitd"), peer: c.Peer, state: state, log: c.Log, activity: c.Activity,
			ctx: ctx, tracks: map[project.URN]*track{}, saving: map[project.URN]bool{}, late: map[project.URN]*repository{},
		},
		housekeeper: &housekeeper{
			engine: engine, log: c.Log, activity: c.Activity, pace: cmp.Or(c.pace, usualPace), ctx: ctx,
			turn: make(chan struct{}, 1), chores: map[project.URN]*chore{},
		},
		agents: agents{c.Dirs, c.Peer, c.Getenv},
		audit:  &keys.AuditLog{Path: c.Dirs.AuditLog()},
		slots:  make(chan struct{}, limits.Transfers),
	}
	var err error
	if s.ssh, err = sshd.New(sshd.Config{Device: c.Peer, Activity: c.Activity, Log: c.Log, Transfer: s.transferSSH}); err != nil {
		cancel()
		return nil, err
	}
	mux := ipc.NewMux("gitd", c.Version)
	s.handle(mux)
	s.rpc = ipc.Server{Mux: mux, Log: c.Log, Activity: c.Activity, Authorize: c.Tokens.Authorize}
	s.activity.Add(1)
	s.outbox.done.Go(func() {
		defer s.activity.Add(-1)
		s.recover(ctx)
	})
	return s, nil
}

// Serve serves one connection, told apart by its first byte.
func (s *Server) Serve(ctx context.Context, c *activate.Conn) {
	first, err := c.Peek()
	switch {
	case err != nil: // closed before it said anything
	case first == 0: // the length of a frame of at most 16 MiB
		s.rpc.ServeConn(ctx, c, c.Draining())
	case first == 'S': // SSH-2.0-…, or the greeting of lnk proxy; the native line begins with a hexadecimal digit
		s.ssh.Serve(ctx, c)
	default:
		s.serveGit(ctx, c)
	}
}

// Close stops what runs in the background. What is not published by then the next process publishes.
func (s *Server) Close(ctx context.Context) error {
	s.cancel()
	s.outbox.done.Wait()
	s.housekeeper.done.Wait()
	s.repositories.close(ctx)
	return s.outbox.bus.Close()
}
