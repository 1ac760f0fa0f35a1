// Skeleton is a daemon of this suite that offers what every socket does, and nothing else.
package main

import (
	"context"
	"os"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
)

func main() { os.Exit(daemon.Main(daemon.Spec{Program: "skeleton", Service: "test", Start: start})) }

func start(_ context.Context, env daemon.Env) (daemon.Service, error) {
	return service{&ipc.Server{Mux: ipc.NewMux("test", env.Version), Log: env.Log, Activity: env.Activity}}, nil
}

type service struct{ calls *ipc.Server }

func (s service) Serve(ctx context.Context, c *activate.Conn) {
	s.calls.ServeConn(ctx, c, c.Draining())
}

func (service) Close(context.Context) error { return nil }
