package ipc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

type echoArgs struct {
	Text string `cbor:"0,keyasint" json:"text" help:"what to say"`
	N    uint   `cbor:"1,keyasint,omitempty" json:"n,omitempty" help:"how often"`
}

var (
	echo      = Unary[[]byte, []byte]{Name: "test.echo", Short: "the argument", Inline: true}
	echoSlow  = Unary[[]byte, []byte]{Name: "test.echo-slow", Short: "the argument, on its own goroutine"}
	say       = Unary[echoArgs, echoArgs]{Name: "test.say", Short: "the argument, typed"}
	count     = Stream[echoArgs, uint]{Name: "test.count", Short: "the numbers below n"}
	failing   = Unary[Empty, Empty]{Name: "test.fail", Short: "an error"}
	panicking = Unary[Empty, Empty]{Name: "test.panic", Short: "a defect"}
	hang      = Unary[Empty, Empty]{Name: "test.hang", Short: "wait for the context"}
)

func testMux() *Mux {
	x := NewMux("test", "1.0")
	echo.Handle(x, func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	echoSlow.Handle(x, func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	say.Handle(x, func(_ context.Context, a echoArgs) (echoArgs, error) { return a, nil })
	count.Handle(x, func(_ context.Context, a echoArgs) iter.Seq2[uint, error] {
		return func(yield func(uint, error) bool) {
			for i := range a.N {
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	failing.Handle(x, func(context.Context, Empty) (Empty, error) {
		return Empty{}, fmt.Errorf("cannot look: %w", Errorf(NotFound, "no such thing").WithHint("make one"))
	})
	panicking.Handle(x, func(context.Context, Empty) (Empty, error) { panic("defect") })
	hang.Handle(x, func(ctx context.Context, _ Empty) (Empty, error) {
		<-ctx.Done()
		return Empty{}, ctx.Err()
	})
	return x
}

// serve runs s behind a socket until the test ends, and returns the socket's path.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.ServeConn(ctx, c, nil) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		cancel()
		wg.Wait()
		os.RemoveAll(dir)
	})
	return path
}

func testClient(t testing.TB, path string) *Client {
	c := NewClient(path, "test/1")
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCalls(t *testing.T) {
	ctx := context.Background()
	c := testClient(t, serve(t, &Server{Mux: testMux()}))
	if got, err := echo.Call(ctx, c, []byte("hello")); err != nil || string(got) != "hello" {
		t.Errorf("echo: %q, %v", got, err)
	}
	big := make([]byte, 1<<20)
	if got, err := echoSlow.Call(ctx, c, big); err != nil || len(got) != len(big) {
		t.Errorf("echo of 1 MiB: %d bytes, %v", len(got), err)
	}
	if got, err := say.Call(ctx, c, echoArgs{Text: "hello"}); err != nil || got.Text != "hello" {
		t.Errorf("say: %v, %v", got, err)
	}
	if _, err := Ping.Call(ctx, c, Empty{}); err != nil {
		t.Errorf("ping: %v", err)
	}
	if d, err := Describe.Call(ctx, c, Empty{}); err != nil || len(d.Methods) != 10 || d.Limits.MaxFrame != 4<<20 {
		t.Errorf("describe: %v, %v", d, err)
	}
	if h, err := Health.Call(ctx, c, Empty{}); err != nil || !h.Healthy {
		t.Errorf("health: %v, %v", h, err)
	}
}

func TestErrorsHoldOnBothEnds(t *testing.T) {
	ctx := context.Background()
	c := testClient(t, serve(t, &Server{Mux: testMux()}))
	_, err := failing.Call(ctx, c, Empty{})
	if !errors.Is(err, NotFound) || HintOf(err) != "make one" || err.Error() != "cannot look: no such thing" {
		t.Errorf("fail: %v, hint %q", err, HintOf(err))
	}
	_, err = panicking.Call(ctx, c, Empty{})
	if !errors.Is(err, Internal) || err.Error() != "internal error" {
		t.Errorf("panic: %v", err)
	}
	_, err = c.CallRaw(ctx, "test.none", nil)
	if !errors.Is(err, UnknownMethod) {
		t.Errorf("unknown method: %v", err)
	}
	_, err = c.CallRaw(ctx, "test.say", []byte{0xa0})
	if !errors.Is(err, BadRequest) {
		t.Errorf("bad arguments: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err = hang.Call(short, c, Empty{}); !errors.Is(err, DeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
}

func TestStream(t *testing.T) {
	ctx := context.Background()
	c := testClient(t, serve(t, &Server{Mux: testMux()}))
	const n = 100_000
	next := uint(0)
	for i, err := range count.Call(ctx, c, echoArgs{Text: "x", N: n}) {
		if err != nil || i != next {
			t.Fatalf("item %d: %d, %v", next, i, err)
		}
		next++
	}
	if next != n {
		t.Errorf("%d items", next)
	}
	for i, err := range count.Call(ctx, c, echoArgs{Text: "x", N: n}) {
		if err != nil || i == 1000 {
			break
		}
	}
	if _, err := Ping.Call(ctx, c, Empty{}); err != nil {
		t.Error(err)
	}
}

func TestConcurrentCalls(t *testing.T) {
	c := testClient(t, serve(t, &Server{Mux: testMux()}))
	var wg sync.WaitGroup
	for i := range 10_000 {
		wg.Go(func() {
			method := echo
			if i%2 == 0 {
				method = echoSlow
			}
			want := fmt.Sprint("call ", i)
			got, err := method.Call(context.Background(), c, []byte(want))
			if err != nil || string(got) != want {
				t.Errorf("%q: %q, %v", want, got, err)
			}
		})
	}
	wg.Wait()
}
