package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/token"
)

// ran is a method that leaves a byte in a file each time that it runs.
var ran = ipc.Unary[ipc.Empty, ipc.Empty]{Name: "test.run", Access: ipc.Change, Inline: true}

// A counter is a service that has it.
type counter struct{ rpc ipc.Server }

func newCounter(env Env) *counter {
	mux := ipc.NewMux("test", env.Version)
	ran.Handle(mux, func(context.Context, ipc.Empty) (ipc.Empty, error) {
		f, err := os.OpenFile(filepath.Join(env.Dirs.Data, "runs"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return ipc.Empty{}, err
		}
		_, err = f.Write([]byte{'.'})
		return ipc.Empty{}, errors.Join(err, f.Close())
	})
	return &counter{ipc.Server{Mux: mux, Log: env.Log, Activity: env.Activity, Authorize: env.Tokens.Authorize}}
}

func (s *counter) Serve(ctx context.Context, c *activate.Conn) { s.rpc.ServeConn(ctx, c, c.Draining()) }
func (s *counter) Close(context.Context) error                 { return nil }

// TestUsesAcrossDaemons calls two daemons a hundred times at once with a token that is good for ten: ten calls run, and the
// others are refused.
func TestUsesAcrossDaemons(t *testing.T) {
	const uses, calls = 10, 100
	home := t.TempDir()
	dirs, err := profile.NewDirs(func(name string) string { return map[string]string{"LNK_HOME": home}[name] })
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(dirs.Config, 0o700), os.MkdirAll(dirs.Data, 0o700), os.WriteFile(dirs.Settings(), []byte("[tokens]\nrequire = [\"test.*\"]\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, text, err := token.Open(dirs).Issue(t.Context(), token.Order{Methods: token.Patterns{"test.run"}, Uses: uses})
	if err != nil {
		t.Fatal(err)
	}
	var clients []*ipc.Client
	for range 2 {
		d := start(t, "guarded", []string{"LNK_HOME=" + home})
		_ = d.dial(t).Close()
		if _, err := ran.Call(t.Context(), clientOf(t, d, ""), ipc.Empty{}); !errors.Is(err, ipc.PermissionDenied) || ipc.HintOf(err) == "" {
			t.Errorf("without a token: %v", err)
		}
		clients = append(clients, clientOf(t, d, text))
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	good := 0
	for i := range calls {
		group.Go(func() {
			_, err := ran.Call(t.Context(), clients[i%len(clients)], ipc.Empty{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				good++
			case !errors.Is(err, ipc.PermissionDenied):
				t.Error(err)
			}
		})
	}
	group.Wait()
	runs, err := os.ReadFile(filepath.Join(dirs.Data, "runs"))
	if err != nil || good != uses || len(runs) != uses {
		t.Errorf("%d calls were answered, %d ran, %v", good, len(runs), err)
	}
}

func clientOf(t *testing.T, d *started, token string) *ipc.Client {
	c := ipc.NewClient(d.socket, "test/1")
	c.Token = []byte(token)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
