package ipc_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
)

// ledger counts how often each call was executed.
type ledger struct {
	mu    sync.Mutex
	times map[uint64]int

	guarded bool
	uses    atomic.Int64 // of the token
}

func (l *ledger) authorize(_ context.Context, _ ipc.MethodInfo, token []byte) error {
	if l.uses.Add(1); string(token) != "token" {
		return ipc.Errorf(ipc.PermissionDenied, "token %q", token)
	}
	return nil
}

func (l *ledger) enter(_ context.Context, id uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times[id]++
	return id, nil
}

var (
	enter       = ipc.Unary[uint64, uint64]{Name: "ledger.enter", Access: ipc.Change}
	enterInline = ipc.Unary[uint64, uint64]{Name: "ledger.enter-inline", Access: ipc.Change, Inline: true}
)

// TestNothingIsLostAroundIdleExits lets instance after instance leave a millisecond after its last request, below a listener
// that stays, as a service manager's does, and counts what clients with one connection each got executed.
func TestNothingIsLostAroundIdleExits(t *testing.T) {
	t.Run("open", func(t *testing.T) { aroundIdleExits(t, &ledger{times: map[uint64]int{}}) })
	t.Run("guarded", func(t *testing.T) {
		book := &ledger{times: map[uint64]int{}, guarded: true}
		aroundIdleExits(t, book)
		if int(book.uses.Load()) != len(book.times) {
			t.Errorf("%d calls cost %d uses of the token", len(book.times), book.uses.Load())
		}
	})
}

func aroundIdleExits(t *testing.T, book *ledger) {
	const clients, callers, calls = 3, 3, 300
	path, instances := instancesBehind(t, book)
	var wg sync.WaitGroup
	for i := range clients {
		c := ipc.NewClient(path, "test/1")
		c.Token = []byte("token")
		t.Cleanup(func() { c.Close() })
		for j := range callers {
			wg.Go(func() {
				for n := 0; n < calls; n++ {
					method := []ipc.Unary[uint64, uint64]{enter, enterInline}[n%2]
					id := uint64(i*callers+j)<<32 | uint64(n)
					if got, err := method.Call(context.Background(), c, id); err != nil || got != id {
						t.Errorf("call %x: %x, %v", id, got, err)
					}
					if n%30 == 0 {
						n += batch(t, c, uint64(i*callers+j)<<32|uint64(n+1), 10)
					}
					time.Sleep(time.Duration(n%20) * 100 * time.Microsecond) // some gaps are about as long as the idle time
				}
			})
		}
	}
	wg.Wait()
	if want := clients * callers * calls; len(book.times) != want {
		t.Errorf("%d of %d calls were executed", len(book.times), want)
	}
	for id, times := range book.times {
		if times != 1 {
			t.Errorf("call %x was executed %d times", id, times)
		}
	}
	t.Logf("%d instances", instances())
}

// batch makes n calls at once, with ids from first on.
func batch(t *testing.T, c *ipc.Client, first uint64, n int) int {
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = first + uint64(i)
	}
	i := 0
	for got, err := range enter.Batch(context.Background(), c, slices.Values(ids)) {
		if err != nil || got != ids[i] {
			t.Errorf("call %x of a batch: %x, %v", ids[i], got, err)
		}
		i++
	}
	return i
}

// instancesBehind runs one instance of a server after the other until the test ends.
func instancesBehind(t *testing.T, book *ledger) (path string, count func() int) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "s")
	manager, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, n := make(chan struct{}), 0
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; n++ {
			if err := serveUntilIdle(ctx, manager, book); err != nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() {
		manager.Close()
		os.RemoveAll(dir)
	})
	return path, func() int {
		cancel()
		<-done
		return n
	}
}

func serveUntilIdle(ctx context.Context, manager *net.UnixListener, book *ledger) error {
	file, err := manager.File()
	if err != nil {
		return err
	}
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return err
	}
	mux, activity := ipc.NewMux("ledger", "1.0"), new(activate.Activity)
	enter.Handle(mux, book.enter)
	enterInline.Handle(mux, book.enter)
	rpc := &ipc.Server{Mux: mux, Activity: activity}
	if book.guarded {
		rpc.Authorize = book.authorize
	}
	server := activate.Server{
		Handle:   func(ctx context.Context, c *activate.Conn) { rpc.ServeConn(ctx, c, c.Draining()) },
		Activity: activity,
		Idle:     time.Millisecond,
	}
	return server.Serve(ctx, activate.Listener{UnixListener: l.(*net.UnixListener), Name: "ledger", Activated: true})
}
