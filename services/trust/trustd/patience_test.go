package trustd

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/token"
)

// webClient is the other end of a connection that the daemon serves. It is one in memory, so that time passes by itself.
type webClient struct {
	net.Conn
	t      *testing.T
	srv    *Server
	answer *bufio.Reader
	ended  chan struct{} // the daemon is done with the connection
}

// newWebClient connects to a daemon whose work on a request takes some time after the request was read.
func newWebClient(t *testing.T, work time.Duration) *webClient {
	dir := t.TempDir()
	dirs := profile.Dirs{Config: dir + "/c", State: dir + "/s", Data: dir + "/d", Runtime: dir + "/r"}
	large := filepath.Join(dirs.State, "trust/default/targets/large")
	if err := os.MkdirAll(filepath.Dir(large), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, 8*pieceSize), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := New(t.Context(), Config{Env: daemon.Env{
		Log: slog.New(slog.DiscardHandler), Dirs: dirs, Activity: new(activate.Activity), Tokens: token.NewGuard(dirs), Getenv: func(string) string { return "" },
	}})
	web := srv.web
	srv.web = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		web.ServeHTTP(w, q)
		time.Sleep(work)
		if err := q.Context().Err(); err != nil && q.Method == http.MethodPost && work > 0 {
			t.Errorf("%s: the client counts as gone: %v", q.URL, err)
		}
	})
	ours, theirs := net.Pipe()
	c := &webClient{ours, t, srv, bufio.NewReaderSize(ours, 16), make(chan struct{})}
	go func() {
		defer close(c.ended)
		defer theirs.Close()
		srv.serveWeb(t.Context(), theirs)
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		<-c.ended
		_ = srv.Close(t.Context())
	})
	return c
}

func (c *webClient) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// hears reads one answer, with its body.
func (c *webClient) hears(status int) {
	c.t.Helper()
	answer, err := http.ReadResponse(c.answer, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != status {
		c.t.Fatalf("%s, %v; want %d", answer.Status, err, status)
	}
}

// isLeft waits until the daemon has given the connection up, and nothing of it keeps the daemon from leaving.
func (c *webClient) isLeft() {
	c.t.Helper()
	start := time.Now()
	<-c.ended
	if waited := time.Since(start); waited > 2*patience {
		c.t.Errorf("the connection was kept for %s", waited)
	}
	if n := c.srv.activity.InFlight(); n != 0 {
		c.t.Errorf("%d requests are in flight", n)
	}
}

const (
	sayGet    = "GET /api/v1/bootstrap HTTP/1.1\r\nHost: x\r\n\r\n"
	sayLarge  = "GET /targets/large HTTP/1.1\r\nHost: x\r\n\r\n"
	sayUpload = "POST /api/v1/artifacts HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
)

// TestSilentClients: whatever a client stops in the middle of, its connection is given up.
func TestSilentClients(t *testing.T) {
	for name, stop := range map[string]func(c *webClient){
		"before a request": func(*webClient) {},
		"in the headers":   func(c *webClient) { c.say(sayGet[:30]) },
		"before the body":  func(c *webClient) { c.say(sayUpload); c.hears(http.StatusRequestTimeout) },
		"in the body":      func(c *webClient) { c.say(sayUpload + "{"); c.hears(http.StatusRequestTimeout) },
		"in a body of no use": func(c *webClient) {
			c.say(strings.Replace(sayUpload, "POST", "GET", 1))
			c.hears(http.StatusMethodNotAllowed)
		},
		"after an answer":         func(c *webClient) { c.say(sayGet); c.hears(http.StatusOK) },
		"after a second one":      func(c *webClient) { c.say(sayGet); c.hears(http.StatusOK); c.say(sayGet); c.hears(http.StatusOK) },
		"before an answer":        func(c *webClient) { c.say(sayLarge) },
		"in the middle of one":    func(c *webClient) { c.say(sayLarge); _, _ = io.CopyN(io.Discard, c.answer, 3*pieceSize) },
		"before the second of it": func(c *webClient) { c.say(sayGet + sayGet) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newWebClient(t, 0)
				stop(c)
				c.isLeft()
			})
		})
	}
}

// TestSlowClients: an upload, the work on it, a download and the questions of somebody who polls take as long as they take.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newWebClient(t, 2*patience)
		const pause = patience * 9 / 10
		c.say(strings.Replace(sayUpload, "Content-Length: 10", "Content-Length: 20", 1))
		for range 20 {
			time.Sleep(pause)
			c.say("x")
		}
		c.hears(http.StatusUnprocessableEntity)
		for range 3 {
			time.Sleep(pause)
			c.say(sayGet)
			c.hears(http.StatusOK)
		}
		c.say(sayLarge)
		answer, err := http.ReadResponse(c.answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		for piece := make([]byte, pieceSize/8); err == nil; _, err = io.ReadFull(answer.Body, piece) {
			time.Sleep(pause / 10)
		}
		if err != io.EOF {
			t.Error(err)
		}
	})
}
