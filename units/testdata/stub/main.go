// Program stub stands in for the daemons: as the bus it says hello, as another it answers what every service does.
package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
)

// It takes the service that it is from the name by which it is called.
func main() {
	name := filepath.Base(os.Args[0])
	service := strings.TrimPrefix(strings.Replace(name, "busd", "bus", 1), "lnk-")
	os.Exit(daemon.Main(daemon.Spec{Program: name, Service: service, PerPeer: service == "gitd", Start: func(_ context.Context, env daemon.Env) (daemon.Service, error) {
		return stub{service, &ipc.Server{Mux: ipc.NewMux(service, env.Version), Activity: env.Activity, Log: env.Log}}, nil
	}}))
}

type stub struct {
	service string
	server  *ipc.Server
}

func (s stub) Serve(ctx context.Context, c *activate.Conn) {
	if s.service == "bus" {
		_, _ = c.Write([]byte("INFO {}\r\n"))
		return
	}
	s.server.ServeConn(ctx, c, c.Draining())
}

func (stub) Close(context.Context) error { return nil }
