package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

// Socket is one socket to listen on, and the daemon behind it.
type Socket struct {
	// Name is what "lnk status" shows, e.g. "gitd".
	Name string
	// Service is the name that the daemon expects the socket to have (LISTEN_FDNAMES), e.g. "gitd".
	Service string
	// Peer is whose instance it is; empty for a service without instances.
	Peer peer.ID
	// Path is where to listen. It identifies the socket.
	Path string
	// Program is the absolute path of the daemon, Args its arguments. The file need not exist before somebody connects.
	Program string
	Args    []string
}

// Config is what the supervisor needs. Dirs, Sockets and Env must be set.
type Config struct {
	Dirs profile.Dirs
	// Sockets lists what to listen on, in the order of starting: a daemon may need those listed before it, and is ended
	// before them. It is asked again and again, so that a new profile gets its sockets. If it returns an error, what is
	// missing from the list beside it is not taken away.
	Sockets func() ([]Socket, error)
	// Gateways are what to listen on over TCP, too. May be empty.
	Gateways []Gateway
	// Env is the environment of the daemons, without what they must not inherit (SSH_AUTH_SOCK among it).
	Env []string
	// Output gets what daemons print; nil for nothing.
	Output *os.File
	// Ready is called once, when every socket listens. May be nil.
	Ready func()
	// Version is what up.sock reports as its version.
	Version string
	// Log gets failures. Nil for none.
	Log *slog.Logger
	// Rescan is how often Sockets is asked; zero for once a second.
	Rescan time.Duration
	// RestartMin and RestartMax pace the restarts of a failing daemon; zero for 1 s and 10 s.
	RestartMin, RestartMax time.Duration
	// Grace is how long a daemon may take to leave before it is killed; zero for 10 s.
	Grace time.Duration
}

func (c Config) withDefaults() *Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for field, value := range map[*time.Duration]time.Duration{&c.Rescan: time.Second, &c.RestartMin: time.Second, &c.RestartMax: 10 * time.Second, &c.Grace: 10 * time.Second} {
		if *field == 0 {
			*field = value
		}
	}
	c.Env = daemonEnv(c.Env)
	return &c
}

// Run listens on the sockets and keeps their daemons until ctx ends. It then ends the daemons, the last listed first,
// removes the socket files and returns nil. An error means that it could not begin: another supervisor holds the folder, a
// socket is in use, a path is too long, the folder is open to others.
func Run(ctx context.Context, config Config) error {
	u := &supervisor{cfg: config.withDefaults(), start: newStarter(), reload: make(chan chan<- error), leaving: make(chan struct{})}
	defer close(u.start)
	control, err := u.listenControl()
	if err != nil {
		return err
	}
	if err := u.refresh(ctx); err != nil {
		u.stopAll()
		return errors.Join(err, control.Close())
	}
	controlCtx, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	released := u.serveControl(controlCtx, control)
	tcp, err := openGateways(ctx, u.cfg.Gateways, u.cfg.Log)
	if err != nil {
		u.stopAll()
		release()
		return errors.Join(err, <-released)
	}
	if u.cfg.Ready != nil {
		u.cfg.Ready()
	}
	u.follow(ctx)
	tcp.close()
	close(u.leaving)
	u.stopAll()
	release() // last: until here the folder is ours
	return <-released
}

// supervisor is one Run.
type supervisor struct {
	cfg    *Config
	start  starter
	reload chan chan<- error
	// leaving is closed when nobody takes from reload any more.
	leaving chan struct{}

	mu       sync.Mutex
	services []*member // in the order of Config.Sockets
}

// member is a service that runs.
type member struct {
	*service
	stop func() // ends the daemon and removes the socket
}

// follow keeps the sockets in step with Config.Sockets until ctx ends.
func (u *supervisor) follow(ctx context.Context) {
	tick := time.NewTicker(u.cfg.Rescan)
	defer tick.Stop()
	var last string // a fault that lasts is told once
	for {
		select {
		case <-ctx.Done():
			return
		case answer := <-u.reload:
			answer <- u.refresh(ctx)
		case <-tick.C:
			now := ""
			if err := u.refresh(ctx); err != nil {
				now = err.Error()
			}
			if now != "" && now != last {
				u.cfg.Log.Error("cannot listen on every socket", "err", now)
			}
			last = now
		}
	}
}

// refresh listens on what is new in Config.Sockets and drops what is no longer there. One socket that fails does not keep
// the others from being listened on; it is tried again the next time.
func (u *supervisor) refresh(ctx context.Context) error {
	want, err := u.cfg.Sockets()
	if err == nil {
		u.dropExcept(want)
	}
	errs := []error{err}
	for _, socket := range want {
		if !u.has(socket.Path) {
			errs = append(errs, u.add(ctx, socket))
		}
	}
	u.sortLike(want)
	return errors.Join(errs...)
}

func (u *supervisor) has(path string) bool {
	return slices.ContainsFunc(u.services, func(m *member) bool { return m.Path == path })
}

func (u *supervisor) add(ctx context.Context, socket Socket) error {
	s, err := bindRetry(ctx, func() (*service, error) { return newService(u.cfg, u.start, socket) })
	if err != nil {
		return err
	}
	// Not derived from ctx: the daemons end one after another.
	serviceCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(serviceCtx)
	}()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.services = append(u.services, &member{s, func() {
		_ = s.listener.Close() // who comes now learns at once that nobody is there
		cancel()
		<-ended
		_ = s.waitable.Close()
	}})
	return nil
}

func (u *supervisor) dropExcept(want []Socket) {
	wanted := func(m *member) bool {
		return slices.ContainsFunc(want, func(s Socket) bool { return s.Path == m.Path })
	}
	for _, m := range slices.Clone(u.services) {
		if !wanted(m) {
			m.stop()
			u.remove(m)
		}
	}
}

func (u *supervisor) remove(m *member) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.services = slices.DeleteFunc(u.services, func(other *member) bool { return other == m })
}

func (u *supervisor) sortLike(want []Socket) {
	u.mu.Lock()
	defer u.mu.Unlock()
	position := func(m *member) int {
		return slices.IndexFunc(want, func(s Socket) bool { return s.Path == m.Path })
	}
	slices.SortStableFunc(u.services, func(a, b *member) int { return position(a) - position(b) })
}

// stopAll ends the daemons from the last listed to the first, the instances of one service together.
func (u *supervisor) stopAll() {
	for i := len(u.services); i > 0; {
		var stopping sync.WaitGroup
		for name := u.services[i-1].Service; i > 0 && u.services[i-1].Service == name; i-- {
			stopping.Go(u.services[i-1].stop)
		}
		stopping.Wait()
	}
}

// states lists the services for status.
func (u *supervisor) states() []ServiceState {
	u.mu.Lock()
	defer u.mu.Unlock()
	states := make([]ServiceState, 0, len(u.services))
	for _, m := range u.services {
		states = append(states, m.snapshot())
	}
	return states
}
