package activate

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
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
	l := mustBind(t, filepath.Join(socketDir(t), "echo.sock"))
	c := mustDial(t, l.Addr().String()) // before the server can be idle, and idle itself, so it does not hold the server
	if _, err := c.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	left := make(chan struct{})
	done := serve(t.Context(), &Server{Handle: echo, Idle: 20 * time.Millisecond, Leaving: func() { close(left) }}, l)
	<-left
	if err := <-done; err != nil {
		t.Error(err)
	}
	expect(t, c, 'a')
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
	// Handlers are told first, then the reading sides are shut: a few more may get in.
	written := []byte("xyz")
	var err error
	for err == nil && len(written) < 100 {
		if _, err = c.Write([]byte("!")); err == nil {
			written = append(written, '!')
			time.Sleep(10 * time.Millisecond)
		}
	}
	if !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%d writes while draining, then %v, want EPIPE", len(written)-3, err)
	}
	close(gate)
	for _, b := range written {
		expect(t, c, b)
	}
	expectEOF(t, c)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A connection in the queue of a path that we bound has no next instance to go to: it is let in.
func TestBoundQueueIsServed(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	l := mustBind(t, path)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	c := mustDial(t, path)
	if _, err := c.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	// It may be let in by the loop already, or by the last call; never dropped.
	if err := <-serve(ctx, &Server{Handle: echo}, l); err != nil {
		t.Error(err)
	}
	expect(t, c, 'q')
	expectEOF(t, c)
}

// However late the last call gets a turn on a busy machine, it lets in the whole queue.
func TestLastCallLetsTheQueueIn(t *testing.T) {
	l := mustBind(t, filepath.Join(socketDir(t), "echo.sock"))
	served := make(chan struct{}, 3)
	for range cap(served) {
		mustDial(t, l.Addr().String())
	}
	must(t, l.SetDeadline(time.Unix(1, 0))) // as the loops that have ended leave it
	r := &run{Server: Server{Handle: func(context.Context, *Conn) { served <- struct{}{} }, Activity: new(Activity)}, conns: newConns()}
	r.letIn(t.Context(), l)
	<-r.conns.ended()
	if len(served) != cap(served) {
		t.Errorf("%d of %d connections were let in", len(served), cap(served))
	}
}

// A socket of the service manager is left with its queue: the next instance serves it.
func TestActivatedQueueIsLeft(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	managers := mustBind(t, path)
	f, err := managers.File()
	must(t, err)
	defer f.Close()
	passed, err := net.FileListener(f)
	must(t, err)
	l := Listener{UnixListener: passed.(*net.UnixListener), Name: "echo", Activated: true}
	must(t, (&Server{Handle: echo, Idle: time.Nanosecond}).Serve(t.Context(), l))
	c := mustDial(t, path)
	ctx, stop := context.WithCancel(t.Context())
	done := serve(ctx, &Server{Handle: echo}, managers)
	ask(t, c, 'a')
	stop()
	must(t, <-done)
}

func TestHeldConnections(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	l := mustBind(t, path)
	c := mustDial(t, path)
	var activity Activity
	activity.Add(1) // until the connection holds the server
	handle := func(ctx context.Context, c *Conn) {
		activity.Add(-1)
		echo(ctx, c)
	}
	done := serve(t.Context(), &Server{Handle: handle, Activity: &activity, Idle: 20 * time.Millisecond, HoldConns: true}, l)
	for range 5 {
		select {
		case err := <-done:
			t.Fatalf("left with a connection: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	ask(t, c, 'a')
	_ = c.Close()
	must(t, <-done)
}

// A dialogue of another protocol goes on while the server leaves, up to the grace period.
func TestHijacked(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	ctx, stop := context.WithCancel(t.Context())
	refused, draining := make(chan bool, 1), make(chan (<-chan struct{}), 1)
	handle := func(ctx context.Context, c *Conn) {
		if !c.Hijack() {
			t.Error("Hijack refused before leaving")
		}
		draining <- c.Draining()
		echo(ctx, c)
		refused <- !c.Hijack()
	}
	done := serve(ctx, &Server{Handle: handle}, mustBind(t, path))
	c := mustDial(t, path)
	ask(t, c, 'a')
	stop()
	<-<-draining
	ask(t, c, 'b')
	_ = c.Close()
	must(t, <-done)
	if !<-refused {
		t.Error("Hijack allowed while leaving")
	}
}

func TestGrace(t *testing.T) {
	path := filepath.Join(socketDir(t), "slow.sock")
	for name, test := range map[string]struct {
		stubborn bool
		want     string
	}{"ends with its context": {false, ""}, "does not end": {true, "cannot leave cleanly: 1 connections have handlers that do not return"}} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			entered, gate := make(chan struct{}), make(chan struct{})
			defer close(gate)
			handle := func(ctx context.Context, c *Conn) {
				close(entered)
				if test.stubborn {
					<-gate
				}
				<-ctx.Done()
			}
			done := serve(ctx, &Server{Handle: handle, Grace: 20 * time.Millisecond}, mustBind(t, path))
			c := mustDial(t, path)
			<-entered
			stop()
			err := <-done
			if err == nil && test.want != "" || err != nil && err.Error() != test.want {
				t.Errorf("Serve = %v, want %q", err, test.want)
			}
			expectEOF(t, c)
		})
	}
}

// A request in flight when the server becomes idle by a lost race may take longer than the grace period.
func TestIdleLeavingWaitsForRequests(t *testing.T) {
	path := filepath.Join(socketDir(t), "slow.sock")
	var activity Activity
	activity.Add(1) // until the connection is accepted
	handle := func(_ context.Context, c *Conn) {
		activity.Add(-1)
		<-c.Draining()
		<-time.After(60 * time.Millisecond)
		_, _ = c.Write([]byte("z"))
		activity.Add(-1)
	}
	l := mustBind(t, path)
	c := mustDial(t, path)
	begin := func() { activity.Add(1) } // what was taken from the queue just then
	must(t, (&Server{Handle: handle, Activity: &activity, Idle: time.Millisecond, Grace: 5 * time.Millisecond, Leaving: begin}).Serve(t.Context(), l))
	expect(t, c, 'z')
}

func TestListenerFails(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	l := mustBind(t, path)
	done := serve(t.Context(), &Server{Handle: echo}, l)
	ask(t, mustDial(t, path), 'a')
	_ = l.UnixListener.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v", err)
	}
}

// A daemon without descriptors left keeps its listener, and serves who waited once there are some again.
func TestOutOfDescriptors(t *testing.T) {
	path := filepath.Join(socketDir(t), "echo.sock")
	l := mustBind(t, path)
	c := mustDial(t, path)
	var before syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	none := before
	none.Cur = 0
	log := make(chan string, 100)
	ctx, stop := context.WithCancel(t.Context())
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	done := serve(ctx, &Server{Handle: echo, Log: slog.New(slog.NewTextHandler(lines(log), nil))}, l)
	line := <-log
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before))
	if !strings.Contains(line, "cannot accept for now") {
		t.Errorf("log %q", line)
	}
	ask(t, c, 'a')
	stop()
	must(t, <-done)
}

type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}
