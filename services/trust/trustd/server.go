package trustd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/token"
	"github.com/lnk-suite/lnk/services/trust"
)

// Config says what a server runs with.
type Config struct {
	daemon.Env
	Now func() time.Time // nil: the system's clock
}

// Server serves all repositories of a user.
type Server struct {
	dir      string
	now      func() time.Time
	log      *slog.Logger
	activity *activate.Activity
	agents   *agents
	audit    *keys.AuditLog
	outbox   *outbox
	tokens   *token.Guard
	rpc      ipc.Server
	web      http.Handler
	cancel   context.CancelFunc

	mu           sync.Mutex
	repositories map[string]*repository
}

// Start makes the server of lnk-trustd.
func Start(ctx context.Context, env daemon.Env) (daemon.Service, error) {
	return New(ctx, Config{Env: env}), nil
}

// New returns a server that works until ctx ends or Close. While it runs, it renews what expires by itself.
func New(ctx context.Context, c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Server{
		dir: filepath.Join(c.Dirs.State, "trust"), now: c.Now, log: c.Log, activity: c.Activity, tokens: c.Tokens, cancel: cancel,
		agents:       &agents{dirs: c.Dirs, getenv: c.Getenv, last: map[peer.ID]keys.Agent{}},
		audit:        &keys.AuditLog{Path: c.Dirs.AuditLog()},
		repositories: map[string]*repository{},
		outbox: &outbox{
			bus: pubsub.NewClient(c.Dirs.Socket("bus", ""), "lnk-trustd"), dirs: c.Dirs, log: c.Log, activity: c.Activity, ctx: ctx,
			late: map[*repository]bool{},
		},
	}
	mux := ipc.NewMux("trustd", c.Version)
	s.handle(mux)
	s.rpc = ipc.Server{Mux: mux, Log: c.Log, Activity: c.Activity, Authorize: c.Tokens.Authorize}
	s.web = s.newWeb()
	s.outbox.done.Go(func() { s.renewNowAndThen(ctx) })
	return s
}

// renewEvery is how often a daemon that runs looks for what expires (rule R14). One that sleeps is woken by a timer.
const renewEvery = 5 * time.Minute

func (s *Server) renewNowAndThen(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.renewAll(ctx, caller{who: "the clock"}); err != nil {
			s.log.Warn("cannot renew everything", "err", err)
		}
	}
}

// renewAll goes through every repository; one that fails does not keep the others.
func (s *Server) renewAll(ctx context.Context, by caller) error {
	names, err := s.names()
	for _, name := range names {
		err = errors.Join(err, s.with(ctx, name, false, func(r *repository) error {
			_, err := r.renew(ctx, by)
			if err != nil {
				return fmt.Errorf("repository %s: %w", name, err)
			}
			return nil
		}))
	}
	return err
}

// Serve serves one connection, told apart by its first byte.
func (s *Server) Serve(ctx context.Context, c *activate.Conn) {
	first, err := c.Peek()
	switch {
	case err != nil: // closed before it said anything
	case first == 0: // the length of a frame of at most 16 MiB
		s.rpc.ServeConn(ctx, c, c.Draining())
	default:
		s.serveHTTP(ctx, c)
	}
}

// Close ends what runs in the background and lets the repositories go.
func (s *Server) Close(context.Context) error {
	s.cancel()
	err := s.outbox.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.repositories {
		r.folder.close()
	}
	clear(s.repositories)
	return err
}

// with runs f with the repository, alone. It opens it if need be, and makes it only if asked to. A signing process whose time
// is over has ended before f, whoever calls.
func (s *Server) with(ctx context.Context, name string, create bool, f func(*repository) error) error {
	r, err := s.repository(ctx, name, create)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.endOverdue(); err != nil {
		return err
	}
	err = f(r)
	if err := r.writeAgenda(); err != nil {
		s.log.Warn("cannot tell lnk status what people should attend to", "repository", r.name, "err", err)
	}
	return err
}

func (s *Server) repository(ctx context.Context, name string, create bool) (*repository, error) {
	if name == "" {
		name = trust.DefaultRepository
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repositories[name]; r != nil {
		return r, nil
	}
	dir := filepath.Join(s.dir, name)
	if _, err := os.Stat(dir); !create && errors.Is(err, fs.ErrNotExist) {
		return nil, ipc.Errorf(ipc.NotFound, "there is no repository %s", name).WithHint("begin it with " + trust.CommandLine(name, "init", "") + "; lnk trust list shows those there are")
	}
	r := &repository{name: name, now: s.now, agents: s.agents, audit: s.audit}
	r.notify = func() { s.outbox.wake(r) }
	if err := r.open(ctx, dir); err != nil {
		return nil, err
	}
	s.repositories[name] = r
	if len(r.state.Events) > 0 {
		s.outbox.wake(r)
	}
	return r, nil
}

func checkName(name string) error {
	if len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || name[0] == '-' {
		return ipc.Errorf(ipc.BadRequest, "%.80q is no name of a repository: use a-z, 0-9, - and _, at most 64", name)
	}
	return nil
}

// names lists the repositories on disk.
func (s *Server) names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{}, nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() && checkName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}
