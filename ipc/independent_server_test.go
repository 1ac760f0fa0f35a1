package ipc_test

import (
	"context"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
)

type greeting struct {
	Text string `cbor:"0,keyasint" json:"text"`
}

type greetArgs struct {
	Name  string `cbor:"0,keyasint" json:"name"`
	Times uint   `cbor:"1,keyasint,omitempty" json:"times"`
}

func independentServer(t *testing.T) client {
	mux := ipc.NewMux("independent", "1.0")
	ipc.Unary[greetArgs, greeting]{Name: "test.greet"}.Handle(mux, func(_ context.Context, a greetArgs) (greeting, error) {
		if a.Name == "" {
			return greeting{}, ipc.Errorf(ipc.NotFound, "nobody is there").WithHint("give a name")
		}
		return greeting{"hello, " + a.Name}, nil
	})
	ipc.Stream[greetArgs, greeting]{Name: "test.greetings"}.Handle(mux, func(_ context.Context, a greetArgs) iter.Seq2[greeting, error] {
		return func(yield func(greeting, error) bool) {
			for i := range a.Times {
				if !yield(greeting{fmt.Sprintf("%d: hello, %s", i, a.Name)}, nil) {
					return
				}
			}
		}
	})
	ipc.Unary[ipc.Empty, ipc.Empty]{Name: "test.wait"}.Handle(mux, func(ctx context.Context, _ ipc.Empty) (ipc.Empty, error) {
		<-ctx.Done()
		return ipc.Empty{}, ctx.Err()
	})
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		conn, err := l.Accept()
		if err == nil {
			(&ipc.Server{Mux: mux}).ServeConn(context.Background(), conn, nil)
		}
	})
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		l.Close()
		served.Wait()
		os.RemoveAll(dir)
	})
	return client{conn}
}

// TestIndependentClient proves the bytes: a client that knows only the document understands the server.
func TestIndependentClient(t *testing.T) {
	c := independentServer(t)
	send := func(rq string, call object) {
		t.Helper()
		if err := c.send(rq, call); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(rq string, result any, text string) {
		t.Helper()
		gotRQ, got, err := c.receive()
		if gotRQ != rq || !reflect.DeepEqual(got, result) || fmt.Sprint(err) != text {
			t.Fatalf("got %q, %v, %v", gotRQ, got, err)
		}
	}
	const ok = "<nil>"

	send("ping", object{{0, "ipc.ping"}})
	expect("ping", nil, ok)
	send("greet-1", object{{0, "test.greet"}, {1, object{{0, "you"}}}, {2, 100_000}})
	expect("greet-1", object{{0, "hello, you"}}, ok)
	send("greet-2", object{{0, "test.greet"}, {1, object{{0, ""}}}})
	expect("greet-2", nil, "code 4: nobody is there (give a name)")
	send("nope", object{{0, "test.nope"}})
	expect("nope", nil, `code 3: no method "test.nope" here (ipc.describe lists the methods)`)

	send("sixteen bytes id", object{{0, "test.greetings"}, {1, object{{0, "you"}, {1, 3}}}, {3, 2}})
	expect("sixteen bytes id", object{{0, "0: hello, you"}}, ok)
	expect("sixteen bytes id", object{{0, "1: hello, you"}}, ok)
	send("sixteen bytes id", object{{3, 5}})
	expect("sixteen bytes id", object{{0, "2: hello, you"}}, ok)
	expect("sixteen bytes id", nil, ok)

	send("wait", object{{0, "test.wait"}})
	send("ping", object{{0, "ipc.ping"}})
	expect("ping", nil, ok)
	send("wait", nil)
	expect("wait", nil, "code 10: cancelled ()")
	send("late", object{{0, "test.wait"}, {2, 1}})
	expect("late", nil, "code 11: deadline exceeded ()")

	send("describe", object{{0, "ipc.describe"}})
	_, d, err := c.receive()
	if err != nil || !strings.Contains(fmt.Sprint(d.(object).get(2)), "test.greetings.item = greeting") {
		t.Errorf("describe: %v, %v", d, err)
	}
}
