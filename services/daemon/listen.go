package daemon

import (
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/profile"
)

// listen takes the sockets of the service manager, or binds the well-known path when somebody starts the daemon by hand.
func listen(spec Spec, opts options, dirs profile.Dirs, log *slog.Logger) ([]activate.Listener, error) {
	listeners, err := activate.Listeners(spec.Service)
	if err != nil {
		return nil, err
	}
	if len(listeners) > 0 {
		if opts.socket != "" {
			closeListeners(listeners)
			return nil, errors.New("cannot use --socket: the service manager has passed a socket")
		}
		return listeners, nil
	}
	path := opts.socket
	if path == "" {
		path = dirs.Socket(spec.Service, opts.peer)
	}
	l, err := activate.Bind(path)
	if err != nil {
		return nil, err
	}
	l.Name = spec.Service
	log.Info("listening", "socket", path)
	return []activate.Listener{l}, nil
}

func closeListeners(listeners []activate.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
}

// launchdLinger is the shortest run that launchd does not hold against a job: it delays the next start of one that ran
// shorter, whatever its exit status (ThrottleInterval in launchd.plist(5)).
const launchdLinger = 10 * time.Second

// lingering is the idle time that the service manager can live with.
func lingering(idle time.Duration, listeners []activate.Listener) time.Duration {
	if runtime.GOOS == "darwin" && idle > 0 && listeners[0].Activated {
		return max(idle, launchdLinger)
	}
	return idle
}
