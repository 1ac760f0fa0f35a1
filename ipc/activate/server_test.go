package activate

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// socketDir is short enough for sun_path and closed to others.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func mustBind(t *testing.T, path string) Listener {
	t.Helper()
	l, err := Bind(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func mustDial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// echo answers each byte until EOF.
func echo(_ context.Context, c *Conn) {
	b := make([]byte, 1)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func ask(t *testing.T, c net.Conn, b byte) {
	t.Helper()
	if _, err := c.Write([]byte{b}); err != nil {
		t.Fatal(err)
	}
	expect(t, c, b)
}

func expect(t *testing.T, c net.Conn, b byte) {
	t.Helper()
	got := make([]byte, 1)
	if _, err := io.ReadFull(c, got); err != nil || got[0] != b {
		t.Fatalf("got %q, %v, want %q", got, err, b)
	}
}

func expectEOF(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read = %d, %v, want EOF", n, err)
	}
}

// serve runs s and returns a channel with what Serve returns.
func serve(ctx context.Context, s *Server, ls ...Listener) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ls...) }()
	return done
}

func TestServeUntilTold(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	ctx, stop := context.WithCancel(t.Context())
	done := serve(ctx, &Server{Handle: echo}, mustBind(t, path))
	c := mustDial(t, path)
	ask(t, c, 'a')
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	expectEOF(t, c)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket file is left behind: %v", err)
	}
}

func TestServeLeavesWhenIdle(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	left := make(chan struct{})
	done := serve(t.Context(), &Server{Handle: echo, Idle: 20 * time.Millisecond, Leaving: func() { close(left) }}, mustBind(t, path))
	c := mustDial(t, path) // idle, so it does not hold the server
	ask(t, c, 'a')
	<-left
	if err := <-done; err != nil {
		t.Error(err)
	}
	expectEOF(t, c)
}

// What a client wrote before the server left is answered, and a later write fails: that is what makes retries safe.
func TestDrainServesWhatIsQueued(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	gate, entered, drained := make(chan struct{}), make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	handle := func(ctx context.Context, c *Conn) {
		close(entered)
		<-c.Draining()
		close(drained)
		<-gate
		echo(ctx, c)
	}
	done := serve(ctx, &Server{Handle: handle}, mustBind(t, path))
	c := mustDial(t, path)
	<-entered
	if _, err := c.Write([]byte("xyz")); err != nil {
		t.Fatal(err)
	}
	stop()
	<-drained
	if _, err := c.Write([]byte("!")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write after draining = %v, want EPIPE", err)
	}
	close(gate)
	for _, b := range []byte("xyz") {
		expect(t, c, b)
	}
	expectEOF(t, c)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
