package cli

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// A tap stands between clients and the sockets of a suite, and records what passes.
type tap struct {
	real      string // folder of the daemons' sockets
	listeners []net.Listener
	relays    sync.WaitGroup

	mu    sync.Mutex
	wires []*wire
	conns []net.Conn
	fault error // why it does not work any more, or did not for somebody
}

// A wire is one recorded connection.
type wire struct {
	socket         string // name, as in lnk ipc list
	sent, received recording
}

// A recording is what went in one direction.
type recording struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (r *recording) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all.Write(p)
}

// frames cuts the recording into messages. It has none if the connection spoke another protocol, which begins with another
// byte than the zero of a frame's length.
func (r *recording) frames() (frames [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for rest := r.all.Bytes(); len(rest) >= 4 && rest[0] == 0; {
		size := int(binary.BigEndian.Uint32(rest))
		if len(rest) < 4+size {
			break
		}
		frames = append(frames, bytes.Clone(rest[4:4+size]))
		rest = rest[4+size:]
	}
	return frames
}

type tapKey struct{}

// tap puts a tap before every socket that is there now: from here on the script's programs use the taps, and the daemons
// each other directly. "contracts" looks at the recordings.
func scriptTap(ts *testscript.TestScript, neg bool, args []string) {
	runtime, err := os.MkdirTemp("", "x")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(runtime) })
	taps := filepath.Join(runtime, "radicle")
	ts.Check(os.Mkdir(taps, 0o700))
	t := ts.Value(tapKey{}).(*tap)
	t.real = filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "radicle")
	ts.Defer(func() {
		t.close()
		if t.fault != nil {
			ts.Logf("[tap]\n%v", t.fault)
		}
	})
	sockets, err := filepath.Glob(filepath.Join(t.real, "*.sock"))
	ts.Check(err)
	for _, socket := range sockets {
		ts.Check(t.listen(filepath.Join(taps, filepath.Base(socket)), socket))
	}
	ts.Setenv("XDG_RUNTIME_DIR", runtime)
}

func (t *tap) listen(path, real string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	t.listeners = append(t.listeners, l)
	t.relays.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				t.failed(err)
				return
			}
			t.relays.Go(func() { t.relay(client.(*net.UnixConn), real) })
		}
	})
	return os.Chmod(path, 0o700)
}

func (t *tap) relay(client *net.UnixConn, real string) {
	defer client.Close()
	conn, err := net.Dial("unix", real)
	if err != nil {
		t.failed(err) // and the client sees it hang up
		return
	}
	daemon := conn.(*net.UnixConn)
	defer daemon.Close()
	w := &wire{socket: strings.TrimSuffix(filepath.Base(real), ".sock")}
	t.mu.Lock()
	t.wires, t.conns = append(t.wires, w), append(t.conns, client, daemon)
	t.mu.Unlock()
	var copies sync.WaitGroup
	copies.Go(func() { record(daemon, client, &w.sent) })
	copies.Go(func() { record(client, daemon, &w.received) })
	copies.Wait()
}

// record copies until src ends, and then ends dst.
func record(dst, src *net.UnixConn, to io.Writer) {
	_, _ = io.Copy(io.MultiWriter(to, dst), src)
	_ = dst.CloseWrite()
}

func (t *tap) failed(err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = errors.Join(t.fault, err)
}

func (t *tap) close() {
	for _, l := range t.listeners {
		l.Close()
	}
	t.mu.Lock()
	for _, c := range t.conns {
		c.Close()
	}
	t.mu.Unlock()
	t.relays.Wait()
}
