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

// guardedHome is a home whose daemons demand a token for test.run, and one that is good for so many uses.
func guardedHome(t *testing.T, uses int) (home, text string, runs func() int) {
	t.Helper()
	home = t.TempDir()
	dirs, err := profile.NewDirs(func(name string) string { return map[string]string{"LNK_HOME": home}[name] })
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(dirs.Config, 0o700), os.MkdirAll(dirs.Data, 0o700), os.WriteFile(dirs.Settings(), []byte("[tokens]\nrequire = [\"test.*\"]\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, text, err = token.Open(dirs).Issue(t.Context(), token.Order{Methods: token.Patterns{"test.run"}, Uses: uses})
	if err != nil {
		t.Fatal(err)
	}
	return home, text, func() int {
		data, err := os.ReadFile(filepath.Join(dirs.Data, "runs"))
		if err != nil {
			t.Error(err)
		}
		return len(data)
	}
}

// TestUsesAcrossDaemons calls two daemons a hundred times at once with a token that is good for ten: ten calls run, and the
// others are refused.
func TestUsesAcrossDaemons(t *testing.T) {
	const uses, calls = 10, 100
	home, text, runs := guardedHome(t, uses)
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
	if good != uses || runs() != uses {
		t.Errorf("%d calls were answered and %d ran", good, runs())
	}
}

// TestUsesAcrossKills kills daemons (SIGKILL) in the middle of calls, one after the other, until nothing is left of the token:
// no use was good for two calls, and what was answered has run.
func TestUsesAcrossKills(t *testing.T) {
	const uses, calls = 40, 20
	home, text, runs := guardedHome(t, uses)
	answered, refused := 0, false
	for !refused {
		var n int
		n, refused = callAndKill(t, home, text, calls)
		answered += n
	}
	if n := runs(); n > uses || n < answered {
		t.Errorf("a token for %d uses: %d calls ran, %d were answered", uses, n, answered)
	}
}

// callAndKill makes calls at once to a daemon that is killed when three of them have ended.
func callAndKill(t *testing.T, home, text string, calls int) (answered int, refused bool) {
	d := start(t, "guarded", []string{"LNK_HOME=" + home})
	_ = d.dial(t).Close()
	c := clientOf(t, d, text)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answers := make(chan error, calls)
	for range calls {
		go func() {
			_, err := ran.Call(ctx, c, ipc.Empty{})
			answers <- err
		}()
	}
	for i := range calls {
		err := <-answers
		if err == nil {
			answered++
		}
		refused = refused || errors.Is(err, ipc.PermissionDenied)
		if i == 2 {
			_ = d.Process.Kill()
			_ = d.Wait()
			cancel() // some would wait for the next one
		}
	}
	return answered, refused
}

func clientOf(t *testing.T, d *started, token string) *ipc.Client {
	c := ipc.NewClient(d.socket, "test/1")
	c.Token = []byte(token)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
