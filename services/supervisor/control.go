package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/profile"
)

// ErrNotRunning says that there is no supervisor in the folder.
var ErrNotRunning = errors.New("lnk up is not running")

// controlSocket is where a supervisor answers.
func controlSocket(dirs profile.Dirs) string { return dirs.Socket("up", "") }

// Status asks the supervisor of dirs what its services do. The error is [ErrNotRunning] if there is none.
func Status(ctx context.Context, dirs profile.Dirs) ([]ServiceState, error) {
	r, err := ask(ctx, dirs, "status\n")
	return r.Services, err
}

// Reload makes the supervisor of dirs look for new profiles now, and returns when it listens on their sockets. The error is
// [ErrNotRunning] if there is none.
func Reload(ctx context.Context, dirs profile.Dirs) error {
	_, err := ask(ctx, dirs, "reload\n")
	return err
}

type reply struct {
	Services []ServiceState `json:"services"`
	Error    string         `json:"error,omitempty"`
}

func ask(ctx context.Context, dirs profile.Dirs, question string) (reply, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", controlSocket(dirs))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return reply{}, ErrNotRunning
	}
	if err != nil {
		return reply{}, fmt.Errorf("cannot ask lnk up: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var r reply
	if _, err = c.Write([]byte(question)); err == nil {
		err = json.NewDecoder(c).Decode(&r)
	}
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		return reply{}, fmt.Errorf("cannot ask lnk up: %w", err)
	}
	return r, nil
}

// listenControl claims the folder for this supervisor.
func (u *supervisor) listenControl() (activate.Listener, error) {
	l, err := activate.Bind(controlSocket(u.cfg.Dirs))
	var inUse *activate.InUseError
	if errors.As(err, &inUse) {
		return l, fmt.Errorf("lnk up is already running as process %d on %s", inUse.PID, u.cfg.Dirs.Runtime)
	}
	return l, err
}

// serveControl answers until ctx ends.
func (u *supervisor) serveControl(ctx context.Context, l activate.Listener) <-chan error {
	served := make(chan error, 1)
	server := activate.Server{Handle: u.answer, Log: u.cfg.Log}
	go func() { served <- server.Serve(ctx, l) }()
	return served
}

func (u *supervisor) answer(ctx context.Context, c *activate.Conn) {
	question, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	var r reply
	if question == "reload\n" {
		answer := make(chan error, 1)
		select {
		case u.reload <- answer:
			if err := <-answer; err != nil {
				r.Error = err.Error()
			}
		case <-c.Draining():
			r.Error = "it is leaving"
		}
	}
	r.Services = u.states()
	_ = json.NewEncoder(c).Encode(r)
}
