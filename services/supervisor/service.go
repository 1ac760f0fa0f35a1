package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
)

// service is one socket and the daemon behind it. Its listener is closed by whoever ends run.
type service struct {
	Socket
	cfg      *Config
	log      *slog.Logger
	start    starter
	listener activate.Listener
	// waitable is a second descriptor of the listener, whose readability can be awaited without accepting. It is also what
	// daemons inherit.
	waitable *os.File
	// quickRuns counts what checkUse is about. Only run uses it.
	quickRuns int

	mu    sync.Mutex
	state ServiceState
}

func newService(cfg *Config, start starter, s Socket) (*service, error) {
	l, err := activate.Bind(s.Path)
	if inUse := new(activate.InUseError); errors.As(err, &inUse) {
		return nil, ipc.Errorf(ipc.Conflict, "%w", err).WithHint("end that process; if it is a service manager: lnk service disable")
	}
	if err != nil {
		return nil, err
	}
	waitable, err := waitableCopy(l)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("cannot watch %s: %w", s.Path, err)
	}
	state := ServiceState{Name: s.Name, Peer: string(s.Peer), Socket: s.Path, State: Sleeping, Since: time.Now()}
	return &service{Socket: s, cfg: cfg, log: cfg.Log.With("service", s.Name, "peer", string(s.Peer)), start: start, listener: l, waitable: waitable, state: state}, nil
}

// waitableCopy goes around l.File, whose descriptor becomes a blocking one, for the daemon too, as soon as a child
// inherits it.
func waitableCopy(l activate.Listener) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var errCopy error
	if err := raw.Control(func(from uintptr) { fd, errCopy = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if errCopy != nil {
		return nil, errCopy
	}
	return os.NewFile(uintptr(fd), l.Name), nil
}

// run serves the socket until ctx ends.
func (s *service) run(ctx context.Context) {
	p := pace{min: s.cfg.RestartMin, max: s.cfg.RestartMax}
	crashed := false
	for {
		if !crashed && s.awaitCaller(ctx) != nil {
			return
		}
		if sleepUntil(ctx, p.next()) != nil {
			return
		}
		p.begin(time.Now())
		var err error
		crashed, err = s.runDaemon(ctx)
		if ctx.Err() != nil {
			return
		}
		s.ended(err)
		if err != nil {
			p.failed(time.Now())
		} else {
			p.succeeded()
		}
	}
}

// awaitCaller returns nil when a connection waits in the queue, else the reason not to wait any longer.
func (s *service) awaitCaller(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.waitable.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := s.waitable.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(readable)
}

// readable asks anew each time: what the poller of the runtime saw may have been accepted by a daemon long ago.
func readable(fd uintptr) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0 && err == nil
}

func sleepUntil(ctx context.Context, when time.Time) error {
	wait := time.Until(when)
	if wait <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// runDaemon starts the daemon, and returns when it has ended. crashed says that it ran and failed: it is then started
// again without waiting for a caller, because it may have work to finish.
func (s *service) runDaemon(ctx context.Context) (crashed bool, err error) {
	cmd, err := command(s.Socket, s.waitable, s.cfg.Output, s.cfg.Env)
	if err != nil {
		return false, err
	}
	began := time.Now()
	if err := s.start.start(cmd); err != nil {
		return false, fmt.Errorf("cannot start %s: %w", s.Program, err)
	}
	s.began(cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- reap(cmd) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		return false, s.end(cmd, ended)
	}
	if err != nil {
		return true, fmt.Errorf("%s failed: %w", s.Program, err)
	}
	return false, s.checkUse(time.Since(began))
}

// A daemon that leaves with success while callers wait, sooner than quick and more than fuse times in a row, serves nobody:
// it would be started for the same caller for ever.
const (
	quick = 20 * time.Millisecond
	fuse  = 20
)

func (s *service) checkUse(lived time.Duration) error {
	if lived >= quick || !s.callerWaits() {
		s.quickRuns = 0
		return nil
	}
	if s.quickRuns++; s.quickRuns <= fuse {
		return nil
	}
	return fmt.Errorf("%s left %d times with success and did not serve who waits", s.Program, s.quickRuns)
}

func (s *service) callerWaits() (waits bool) {
	if raw, err := s.waitable.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { waits = readable(fd) })
	}
	return waits
}

// end tells the daemon to leave, and makes it.
func (s *service) end(cmd *exec.Cmd, ended <-chan error) error {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(s.cfg.Grace):
		s.log.Warn("killed a daemon that did not leave", "pid", cmd.Process.Pid, "grace", s.cfg.Grace)
		_ = cmd.Process.Kill()
		return <-ended
	}
}

func (s *service) began(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.State == Failed {
		s.state.Restarts++
	}
	s.state.State, s.state.PID, s.state.Since = Running, pid, time.Now()
}

func (s *service) ended(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.State, s.state.PID, s.state.Error, s.state.Since = Sleeping, 0, "", time.Now()
	if err != nil {
		s.state.State, s.state.Error = Failed, err.Error()
		s.log.Error("cannot serve for now", "err", err)
	}
}

func (s *service) snapshot() ServiceState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// bindPatience is how long daemons of an earlier supervisor, which was killed, may hold their sockets while they leave.
const bindPatience = 10 * time.Second

// bindRetry waits for sockets whose owner is dead; one that lives is not going to give way.
func bindRetry(ctx context.Context, bind func() (*service, error)) (*service, error) {
	deadline := time.Now().Add(bindPatience)
	for {
		s, err := bind()
		var inUse *activate.InUseError
		if !errors.As(err, &inUse) || !dead(inUse.PID) || time.Now().After(deadline) {
			return s, err
		}
		if err := sleepUntil(ctx, time.Now().Add(10*time.Millisecond)); err != nil {
			return nil, err
		}
	}
}

func dead(pid int32) bool { return pid > 0 && errors.Is(syscall.Kill(int(pid), 0), syscall.ESRCH) }
