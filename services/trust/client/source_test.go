package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// answers is a server that has one answer for each name.
func answers(w http.ResponseWriter, q *http.Request) {
	switch strings.TrimPrefix(q.URL.EscapedPath(), "/base/") {
	case "plain":
		_, _ = io.WriteString(w, "plain")
	case "a%2Fb%20c":
		_, _ = io.WriteString(w, "escaped")
	case "moved":
		http.Redirect(w, q, "/base/plain", http.StatusFound)
	case "forbidden":
		w.WriteHeader(http.StatusForbidden)
	case "broken":
		w.WriteHeader(http.StatusInternalServerError)
	case "cut":
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "short")
	default:
		http.NotFound(w, q)
	}
}

// TestSources: a web server, one behind a UNIX socket and a folder are the same to a client.
func TestSources(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(answers))
	defer server.Close()
	dir := t.TempDir()
	for name, text := range map[string]string{"plain": "plain", "a/b c": "escaped"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "outside"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := socketOf(t, http.HandlerFunc(answers))
	for name, from := range map[string]Source{
		"web": must(NewWeb(server.URL + "/base/")), "socket": must(NewSocketWeb(socket, "http://anything/base")), "folder": Tree(dir),
	} {
		for file, want := range map[string]string{"plain": "plain", "a%2Fb%20c": "escaped"} {
			if got, err := read(t.Context(), from, file, 100); string(got) != want || err != nil {
				t.Errorf("%s: %s is %q, %v", name, file, got, err)
			}
		}
		for _, file := range []string{"missing", "../outside", "a", "pipe", "%zz"} {
			if _, err := read(t.Context(), from, file, 100); err == nil || name == "web" && file != "%zz" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s: %v", name, file, err)
			}
		}
		if _, err := read(t.Context(), from, "plain", 4); ipc.CodeOf(err) != ipc.TooLarge {
			t.Errorf("%s: more than 4 bytes: %v", name, err)
		}
	}
}

func socketOf(t *testing.T, h http.Handler) string {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	server.Start()
	t.Cleanup(server.Close)
	return l.Addr().String()
}

func TestWebErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(answers))
	defer server.Close()
	from := must(NewWeb(server.URL + "/base"))
	if got, err := read(t.Context(), from, "moved", 100); string(got) != "plain" || err != nil {
		t.Errorf("moved: %q, %v", got, err)
	}
	if _, err := read(t.Context(), from, "forbidden", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("forbidden: %v", err)
	}
	for _, name := range []string{"broken", "cut"} {
		if _, err := read(t.Context(), from, name, 100); ipc.CodeOf(err) != ipc.Unavailable || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, base := range []string{"", "ftp://host/", "http://", "/path", "http://%zz"} {
		if _, err := NewWeb(base); ipc.CodeOf(err) != ipc.BadRequest {
			t.Errorf("base %q: %v", base, err)
		}
	}
}

// TestStall: a server that stops sending does not hold a client up for ever, one that is slow but sends does not lose it.
func TestStall(t *testing.T) {
	for name, test := range map[string]struct {
		serve func(c net.Conn)
		ok    bool
		after time.Duration
	}{
		"no head":   {func(net.Conn) {}, false, stall},
		"half":      {func(c net.Conn) { send(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc") }, false, stall},
		"in pieces": {func(c net.Conn) { send(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "a", "b", "c") }, true, 3 * (stall - time.Second)},
		"drop by drop": {func(c net.Conn) {
			send(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "a", "b", "c", "d", "e", "f", "g", "h", "i")
		}, false, fetch},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var served sync.WaitGroup
				from := must(newWeb("http://x", func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					served.Go(func() {
						_, _ = theirs.Read(make([]byte, 4096))
						test.serve(theirs)
						_, _ = io.Copy(io.Discard, theirs)
						_ = theirs.Close()
					})
					return ours, nil
				}))
				begin := time.Now()
				_, err := read(t.Context(), from, "x", 100)
				if (err == nil) != test.ok || time.Since(begin) != test.after {
					t.Errorf("%v after %s", err, time.Since(begin))
				}
				from.Close()
				served.Wait()
			})
		})
	}
}

// send writes a head at once, and each piece after almost too long.
func send(c net.Conn, pieces ...string) {
	for i, piece := range pieces {
		if i > 0 {
			time.Sleep(stall - time.Second)
		}
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
	}
}
