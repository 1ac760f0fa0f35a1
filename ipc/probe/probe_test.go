package probe

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
)

const echoVariable = "PROBE_TEST_ECHO"

// TestMain is the other end of the floor, too.
func TestMain(m *testing.M) {
	if os.Getenv(echoVariable) != "" {
		if err := Echo(); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func newFloor(t *testing.T) *Floor {
	f, err := NewFloor(t.Context(), "env", echoVariable+"=1", os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func newClient(t *testing.T) *ipc.Client {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := activate.Bind(filepath.Join(dir, "s.sock"))
	if err != nil {
		t.Fatal(err)
	}
	calls := &ipc.Server{Mux: ipc.NewMux("test", "1")}
	server := activate.Server{Handle: func(ctx context.Context, c *activate.Conn) { calls.ServeConn(ctx, c, c.Draining()) }}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	client := ipc.NewClient(filepath.Join(dir, "s.sock"), "test")
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return client
}

func TestMeasure(t *testing.T) {
	for _, inFlight := range []int{1, 7, 1024} {
		var told []float64
		r, err := Measure(t.Context(), newClient(t), newFloor(t), Config{
			Calls: 50, InFlight: inFlight, Duration: time.Minute, Progress: func(done float64) { told = append(told, done) },
		})
		if err != nil || r.Calls != 2*50 || len(told) != rounds || told[rounds-1] != 1 {
			t.Fatalf("%+v, told %v, %v", r, told, err)
		}
		for _, c := range []Compare{r.P50, r.P99, r.Rate} {
			if c.Socket <= 0 || c.Floor <= 0 || c.Ratio != c.Socket/c.Floor {
				t.Errorf("%d in flight: %+v", inFlight, r)
			}
		}
		if r.P99.Socket < r.P50.Socket || r.P99.Floor < r.P50.Floor {
			t.Errorf("the 99th percentile is below the median: %+v", r)
		}
	}
}

// TestMeasureEnds when it is told to, and when nobody echoes any more.
func TestMeasureEnds(t *testing.T) {
	endless := Config{InFlight: 8, Duration: time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := Measure(ctx, newClient(t), newFloor(t), endless); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	floor := newFloor(t)
	time.AfterFunc(50*time.Millisecond, func() { floor.peer.Process.Kill() })
	if _, err := Measure(t.Context(), newClient(t), floor, endless); err == nil {
		t.Error("the floor was killed, and nobody noticed")
	}
}
