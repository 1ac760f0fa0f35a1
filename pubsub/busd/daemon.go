package busd

import (
	"context"
	"path/filepath"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
)

// Spec is the daemon lnk-busd. A connection keeps it running: whoever is connected may wait for events.
func Spec() daemon.Spec {
	return daemon.Spec{
		Program: "lnk-busd", Service: "bus", Short: "keeps events and hands them to who subscribes", HoldConns: true, Start: start,
	}
}

// start does next to nothing: the engine starts with the first connection, and if it cannot, that one is told why.
func start(_ context.Context, env daemon.Env) (daemon.Service, error) {
	return service{New(Config{Dir: filepath.Join(env.Dirs.State, "bus"), Log: env.Log})}, nil
}

type service struct{ bus *Server }

// Serve implements daemon.Service.
func (s service) Serve(ctx context.Context, c *activate.Conn) { s.bus.ServeConn(ctx, c, c.Cred) }

// Close implements daemon.Service.
func (s service) Close(context.Context) error {
	s.bus.Close()
	return nil
}
