// Program stub stands in for the daemons: it answers each byte with its process id.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
)

// It takes the service that it is from the name by which it is called.
func main() {
	name := filepath.Base(os.Args[0])
	service := strings.TrimPrefix(strings.Replace(name, "busd", "bus", 1), "lnk-")
	os.Exit(daemon.Main(daemon.Spec{Program: name, Service: service, PerPeer: service == "gitd", Start: startStub}))
}

// stub answers each byte with its process id.
type stub struct{ *activate.Activity }

func startStub(_ context.Context, env daemon.Env) (daemon.Service, error) {
	return stub{env.Activity}, nil
}

func (s stub) Serve(_ context.Context, c *activate.Conn) {
	b := make([]byte, 1)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		s.Add(1)
		_, _ = fmt.Fprintln(c, os.Getpid())
		s.Add(-1)
	}
}

func (stub) Close(context.Context) error { return nil }
