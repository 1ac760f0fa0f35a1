package units

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
)

// TestMain makes this binary a stand-in for a daemon when it is called by the name of one.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); strings.HasPrefix(name, "lnk-") {
		service := strings.TrimPrefix(strings.Replace(name, "busd", "bus", 1), "lnk-")
		os.Exit(daemon.Main(daemon.Spec{Program: name, Service: service, PerPeer: service == "gitd", Start: startStub}))
	}
	os.Exit(m.Run())
}

// stub answers each byte with its process id.
type stub struct{ *activate.Activity }

func startStub(_ context.Context, env daemon.Env) (daemon.Service, error) { return stub{env.Activity}, nil }

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
