package ipc

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// script is a daemon made by hand: one function for each connection in turn.
func script(t *testing.T, conns ...func(net.Conn)) *Client {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, serve := range conns {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	c := NewClient(l.Addr().String(), "test/1")
	t.Cleanup(func() {
		c.Close()
		l.Close()
		wg.Wait()
		os.RemoveAll(dir)
	})
	return c
}

// answerTo reads a request and answers it.
func answerTo(t *testing.T, conn net.Conn, a response) {
	var r request
	frame, err := readFrame(conn)
	if err == nil {
		err = r.parse(frame)
	}
	if a.rq == nil {
		a.rq = r.rq
	}
	if err == nil {
		_, err = conn.Write(a.appendTo(nil))
	}
	if err != nil {
		t.Error(err)
	}
}

func TestDaemonsThatBreakTheProtocol(t *testing.T) {
	tests := []struct {
		name   string
		answer []byte
		code   Code
	}{
		{"not CBOR", []byte("\x00\x00\x00\x01\xff"), Corrupt},
		{"another id", (&response{rq: []byte("other")}).appendTo(nil), Corrupt},
		{"not understood", appendError(nil, []byte(reservedID), BadRequest), Corrupt},
		{"code 0", (&response{rq: exampleRQ, isError: true}).appendTo(nil), Internal},
		{"huge code", (&response{rq: exampleRQ, isError: true, code: 1 << 40}).appendTo(nil), Internal},
		{"later code", (&response{rq: exampleRQ, isError: true, code: 99}).appendTo(nil), 99},
		{"far too large", []byte("\xff\xff\xff\xff"), Unavailable},
		{"half a frame", []byte("\x00\x00\x00\x09\xa1"), Unavailable},
		{"too large", (&response{rq: exampleRQ, payload: make([]byte, defaultMaxFrame)}).appendTo(nil), TooLarge},
		{"payload of another type", (&response{rq: exampleRQ, payload: []byte{0x60}}).appendTo(nil), Corrupt},
		{"malformed payload", (&response{rq: exampleRQ, payload: []byte{0x5f}}).appendTo(nil), Corrupt},
	}
	for _, test := range tests {
		c := script(t, func(conn net.Conn) {
			_, _ = readFrame(conn)
			_, _ = conn.Write(test.answer)
		})
		if _, err := echo.Call(t.Context(), c, nil); CodeOf(err) != test.code {
			t.Errorf("%s: code %v, %v", test.name, CodeOf(err), err)
		}
	}
}

// TestDaemonThatIgnoresCredit checks that only the stream concerned fails, and that its memory is bounded.
func TestDaemonThatIgnoresCredit(t *testing.T) {
	c := script(t, func(conn net.Conn) {
		_, _ = readFrame(conn)
		var items []byte
		for range firstWindow + 1 {
			items = (&response{rq: exampleRQ, payload: []byte{0}}).appendTo(items)
		}
		_, _ = conn.Write(items)
		_, _ = readFrame(conn) // the cancel
		_, _ = conn.Write((&response{rq: exampleRQ}).appendTo(nil))
		answerTo(t, conn, response{})
	})
	conn, err := c.connect(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	p := c.newStream(t.Context(), "test.count", nil)
	if err := conn.send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for p.stream.failure() == nil {
		time.Sleep(time.Millisecond)
	}
	if CodeOf(p.stream.failure()) != Corrupt {
		t.Error(p.stream.failure())
	}
	conn.leave(p)
	if _, err := Ping.Call(t.Context(), c, Empty{}); err != nil {
		t.Error(err)
	}
}

func (x *inbox) failure() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

func TestSocketsThatAreRefused(t *testing.T) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file, stale, open := filepath.Join(dir, "file"), filepath.Join(dir, "stale"), filepath.Join(dir, "open")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{stale, filepath.Join(open, "s")} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(path != stale)
		if path == stale {
			l.Close()
		} else {
			defer l.Close()
		}
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path, want, hint string
		code             Code
	}{
		{filepath.Join(dir, "none"), "no socket at", startHint, Unavailable},
		{file, "is not a socket", "", Unavailable},
		{stale, "nothing listens on", startHint, Unavailable},
		{filepath.Join(open, "s"), "others may write to", "chmod 700 " + open, PermissionDenied},
	}
	for _, test := range tests {
		_, err := Ping.Call(t.Context(), testClient(t, test.path), Empty{})
		if CodeOf(err) != test.code || !strings.Contains(err.Error(), test.want) || HintOf(err) != test.hint {
			t.Errorf("%s: %v, %v, hint %q", test.path, CodeOf(err), err, HintOf(err))
		}
	}
}

// TestFullBacklog checks that a socket whose queue is full is waited for: its daemon is just being started.
func TestFullBacklog(t *testing.T) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Ping.Call(ctx, testClient(t, path), Empty{}); CodeOf(err) != DeadlineExceeded {
		t.Errorf("code %v, %v", CodeOf(err), err)
	}
}

func TestClose(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		c := r.client()
		done := make(chan error)
		go func() {
			_, err := hang.Call(t.Context(), c, Empty{})
			done <- err
		}()
		synctest.Wait()
		c.Close()
		if err := <-done; CodeOf(err) != Unavailable || err.Error() != "the client is closed" {
			t.Error(err)
		}
		if _, err := Ping.Call(t.Context(), c, Empty{}); CodeOf(err) != Unavailable {
			t.Error(err)
		}
		c.Close()
	})
}

func TestUserAgent(t *testing.T) {
	for ua, want := range map[string]string{"": "....", "lnk": "lnk.", "lnk/1": "lnk/1", "a-very-long-name/1.2.3": "a-very-long-name", "fünfzehn-bytesü": "fünfzehn-bytes", "\xff\xff": "...."} {
		if got := string(userAgent(ua)); got != want {
			t.Errorf("%q became %q", ua, got)
		}
	}
}

func TestTrace(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		c := r.client()
		var lines []string
		c.Trace = func(sent bool, frame []byte) {
			text, err := DiagnosticFrame(frame)
			if err != nil {
				t.Error(err)
			}
			lines = append(lines, map[bool]string{true: "> ", false: "< "}[sent]+text)
		}
		if _, err := say.Call(t.Context(), c, echoArgs{Text: "hi"}); err != nil {
			t.Error(err)
		}
		c.Close()
		want := `> {0: {0: "test/1", 1: h'00000001'}, 1: <<{0: "test.say", 1: {0: "hi"}, 2: 30000}>>}` + "\n" +
			`< {0: {0: h'00000001'}, 1: <<{0: "hi"}>>}`
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("got\n%s", got)
		}
	})
}

func TestPeerFrom(t *testing.T) {
	mux := testMux()
	who := Unary[Empty, int]{Name: "test.who"}
	who.Handle(mux, func(ctx context.Context, _ Empty) (int, error) {
		cred, ok := PeerFrom(ctx)
		if !ok || int(cred.UID) != os.Geteuid() {
			return 0, Errorf(PermissionDenied, "caller is %v, %v", cred, ok)
		}
		return int(cred.PID), nil
	})
	c := testClient(t, serve(t, &Server{Mux: mux}))
	if pid, err := who.Call(t.Context(), c, Empty{}); err != nil || pid != os.Getpid() {
		t.Errorf("%d, %v", pid, err)
	}
	if _, ok := PeerFrom(t.Context()); ok {
		t.Error("outside of a handler")
	}
}

// A call that nobody answers ends at its deadline, with an error that names it.
func TestUnansweredCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go io.Copy(io.Discard, theirs)
		c := NewClient("pipe", "test/1")
		defer c.Close()
		c.dial = func(context.Context, string) (net.Conn, error) { return ours, nil }
		start := time.Now()
		_, err := hang.Call(t.Context(), c, Empty{})
		if time.Since(start) != callTimeout || !errors.Is(err, DeadlineExceeded) || !strings.HasPrefix(err.Error(), "test.hang was not answered in time") {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
