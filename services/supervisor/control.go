package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/profile"
)

// ErrNotRunning says that there is no supervisor in the folder.
var ErrNotRunning error = ipc.Errorf(ipc.Unavailable, "lnk up is not running").WithHint("lnk up")

// The methods of up.sock.
var (
	statusMethod = ipc.Unary[ipc.Empty, StatusResult]{Name: "up.status", Access: ipc.Read, Short: "what the services do"}
	reloadMethod = ipc.Unary[ipc.Empty, ipc.Empty]{Name: "up.reload", Access: ipc.Change, Short: "look for new profiles now"}
)

// Methods lists every method of up.sock.
func Methods() []ipc.Method { return []ipc.Method{statusMethod, reloadMethod} }

// StatusResult lists the services in the order of starting.
type StatusResult struct {
	Services []ServiceState `cbor:"0,keyasint" json:"services" help:"in the order of starting"`
}

// controlService is the stem of the supervisor's own socket.
const controlService = "up"

func controlSocket(dirs profile.Dirs) string { return dirs.Socket(controlService, "") }

// Status asks the supervisor of dirs what its services do. The error is [ErrNotRunning] if there is none.
func Status(ctx context.Context, dirs profile.Dirs) ([]ServiceState, error) {
	result, err := ask(ctx, dirs, statusMethod)
	return result.Services, err
}

// Reload makes the supervisor of dirs look for new profiles now, and returns when it listens on their sockets. The error is
// [ErrNotRunning] if there is none.
func Reload(ctx context.Context, dirs profile.Dirs) error {
	_, err := ask(ctx, dirs, reloadMethod)
	return err
}

func ask[R any](ctx context.Context, dirs profile.Dirs, method ipc.Unary[ipc.Empty, R]) (result R, err error) {
	path := controlSocket(dirs)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return result, ErrNotRunning
	}
	client := ipc.NewClient(path, "lnk")
	defer client.Close()
	result, err = method.Call(ctx, client, ipc.Empty{})
	if errors.Is(err, syscall.ECONNREFUSED) { // it was killed
		return result, ErrNotRunning
	}
	if err != nil {
		return result, fmt.Errorf("cannot ask lnk up: %w", err)
	}
	return result, nil
}

// listenControl claims the folder for this supervisor.
func (u *supervisor) listenControl() (activate.Listener, error) {
	l, err := activate.Bind(controlSocket(u.cfg.Dirs))
	var inUse *activate.InUseError
	if errors.As(err, &inUse) {
		return l, ipc.Errorf(ipc.Conflict, "lnk up is already running as process %d on %s", inUse.PID, u.cfg.Dirs.Runtime).
			WithHint(fmt.Sprintf("stop it with: kill %d", inUse.PID))
	}
	return l, err
}

// serveControl answers until ctx ends.
func (u *supervisor) serveControl(ctx context.Context, l activate.Listener) <-chan error {
	mux := ipc.NewMux(controlService, u.cfg.Version)
	statusMethod.Handle(mux, func(context.Context, ipc.Empty) (StatusResult, error) { return StatusResult{u.states()}, nil })
	reloadMethod.Handle(mux, func(ctx context.Context, _ ipc.Empty) (ipc.Empty, error) { return ipc.Empty{}, u.askFollow(ctx) })
	calls := &ipc.Server{Mux: mux, Log: u.cfg.Log}
	server := activate.Server{Log: u.cfg.Log, Handle: func(ctx context.Context, c *activate.Conn) { calls.ServeConn(ctx, c, c.Draining()) }}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	return served
}

// askFollow makes the goroutine that owns the sockets refresh them.
func (u *supervisor) askFollow(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case u.reload <- answer:
	case <-u.leaving:
		return ipc.Errorf(ipc.GoingAway, "lnk up is leaving")
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := <-answer; err != nil {
		return ipc.Errorf(ipc.Unavailable, "%w", err)
	}
	return nil
}
