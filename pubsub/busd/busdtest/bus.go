// Package busdtest runs a real bus inside a test, on a UNIX socket, for tests of whatever publishes or subscribes.
package busdtest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lnk-suite/lnk/ipc/peercred"
	"github.com/lnk-suite/lnk/pubsub/busd"
)

// Bus is a running bus. Whoever connects may do what Role says; by default publish on every topic, as the processes
// of a test are none of the suite's programs.
type Bus struct {
	Socket string // to dial
	Dir    string // of the store

	t      testing.TB
	config busd.Config
	stop   func()
}

// Start starts a bus with an empty store, which ends with the test.
func Start(t testing.TB, config busd.Config) *Bus {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if config.Dir == "" {
		config.Dir = filepath.Join(dir, "store")
	}
	if config.Role == nil {
		config.Role = func(peercred.Cred) busd.Role { return busd.Anyone }
	}
	b := &Bus{Socket: filepath.Join(dir, "s"), Dir: config.Dir, t: t, config: config}
	b.Restart()
	t.Cleanup(func() { b.Stop() })
	return b
}

// Restart stops the bus if it runs and starts it on the same store and socket. The socket is open throughout only
// from the first Restart after a Stop.
func (b *Bus) Restart() {
	b.t.Helper()
	b.Stop()
	l, err := net.Listen("unix", b.Socket)
	if err != nil {
		b.t.Fatal(err)
	}
	server := busd.New(b.config)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { accept(ctx, l, server, &running) })
	b.stop = func() {
		l.Close()
		cancel()
		server.Close()
		running.Wait()
	}
}

func accept(ctx context.Context, l net.Listener, server *busd.Server, running *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			cred, err := peercred.Of(conn.(*net.UnixConn))
			if err != nil {
				conn.Close()
				return
			}
			server.ServeConn(ctx, conn, cred)
		})
	}
}

// Stop stops the bus and removes its socket; the store stays.
func (b *Bus) Stop() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}
