package cli

import (
	"context"
	"encoding/hex"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
)

type countArgs struct {
	To uint64 `cbor:"0,keyasint" json:"to"`
}

type counted struct {
	N     uint64 `cbor:"0,keyasint" json:"n"`
	Bytes []byte `cbor:"1,keyasint" json:"bytes"`
}

var counting = ipc.Stream[countArgs, counted]{Name: "test.count", Access: ipc.Read, Short: "count from 0"}

// counterMux has a stream that lnk does not know.
func counterMux() *ipc.Mux {
	mux := ipc.NewMux("counter", "1")
	counting.Handle(mux, func(_ context.Context, args countArgs) iter.Seq2[counted, error] {
		return func(yield func(counted, error) bool) {
			for n := range args.To {
				if !yield(counted{n, []byte{byte(n)}}, nil) {
					return
				}
			}
		}
	})
	return mux
}

// serve serves mux on the socket at path until stop is called.
func serve(mux *ipc.Mux, path string) (stop func() error, err error) {
	listener, err := activate.Bind(path)
	if err != nil {
		return nil, err
	}
	calls := &ipc.Server{Mux: mux}
	server := activate.Server{Handle: func(ctx context.Context, c *activate.Conn) { calls.ServeConn(ctx, c, c.Draining()) }}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	return func() error {
		cancel()
		return <-served
	}, nil
}

// serveCounter serves counterMux and test.fail until the test ends.
func serveCounter(t *testing.T) (socket string) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	mux := counterMux()
	ipc.Unary[ipc.Empty, ipc.Empty]{Name: "test.fail"}.Handle(mux, func(context.Context, ipc.Empty) (ipc.Empty, error) {
		return ipc.Empty{}, ipc.Errorf(ipc.NoKey, "no key").WithHint("lnk key add")
	})
	socket = filepath.Join(dir, "s.sock")
	stop, err := serve(mux, socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return socket
}

func TestCallUnknownMethods(t *testing.T) {
	socket := serveCounter(t)
	for _, test := range []struct {
		name, stdout, stderr string
		args                 []string
		status               int
	}{
		{"a stream is a line per item", "{\"0\":0,\"1\":\"h'00'\"}\n{\"0\":1,\"1\":\"h'01'\"}\n", "",
			[]string{"ipc", "call", "--stream", socket, "test.count", `{"0": 2}`}, exitOK},
		{"an empty stream", "", "", []string{"ipc", "call", "--stream", socket, "test.count", `{"0": 0}`}, exitOK},
		{"CBOR items follow each other", "\xa2\x00\x00\x01\x41\x00", "", []string{"-o", "cbor", "ipc", "call", "--stream", socket, "test.count", `{"0": 1}`}, exitOK},
		{"error, hint and status cross the wire", "", "lnk: cannot call the method: no key\nlnk: hint: lnk key add\n",
			[]string{"ipc", "call", socket, "test.fail"}, exitNoKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, status := lnk(t, test.args...)
			if stdout != test.stdout || stderr != test.stderr || status != test.status {
				t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
		})
	}
}

func TestCallTrace(t *testing.T) {
	_, stderr, status := lnk(t, "ipc", "call", "--trace", serveCounter(t), "ipc.ping")
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if status != exitOK || len(lines) != 2 || !strings.Contains(lines[0], `-> {0: {0: "lnk`) || !strings.Contains(lines[1], "<- {0: {0: h'") {
		t.Errorf("status %d, stderr %s", status, stderr)
	}
}

func TestEncodeArguments(t *testing.T) {
	refs, known := knownMethod("git.refs")
	if !known {
		t.Fatal("git.refs is not known")
	}
	const want = "a2006172016170" // {0: "r", 1: "p"}
	for _, words := range [][]string{
		{"r", "--peer", "p"}, {"--peer=p", "r"}, {`{"project": "r", "peer": "p"}`}, {`{"0": "r", "1": "p"}`},
	} {
		data, err := encodeArguments(refs, true, words)
		if err != nil || hex.EncodeToString(data) != want {
			t.Errorf("%q: %x, %v; want %s", words, data, err, want)
		}
	}
	for _, words := range [][]string{nil, {"r", "s"}, {"r", "--frob"}, {`{"project": "r", "frob": 1}`}, {`{"project": 1}`}} {
		if data, err := encodeArguments(refs, true, words); err == nil {
			t.Errorf("%q was accepted: %x", words, data)
		}
	}
}
