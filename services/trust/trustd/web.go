package trustd

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/trust"
)

// patience is for how long nothing may move over a connection that speaks HTTP: between requests, in the middle of one, and
// where a client does not take its answer. How long a whole upload or download takes is not limited.
const patience = time.Minute

// serveHTTP serves one connection that speaks HTTP/1.1. When the daemon leaves, activate ends the input: the request that
// is being served is answered, as its work does not depend on the connection.
func (s *Server) serveHTTP(ctx context.Context, c *activate.Conn) {
	s.serveWeb(context.WithValue(ctx, pidKey{}, c.Cred.PID), c)
}

func (s *Server) serveWeb(ctx context.Context, c net.Conn) {
	conn, remote, err := unwrap(c) // the address of who is behind a gateway
	if err != nil {
		return
	}
	if remote != "" {
		ctx = context.WithValue(ctx, remoteKey{}, remote)
	}
	l := &oneConn{conn: conn, closed: make(chan struct{})}
	server := http.Server{
		Handler: s.web, ReadHeaderTimeout: patience, IdleTimeout: patience, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				_ = l.Close()
			}
		},
	}
	_ = server.Serve(l) // the error says that the one connection is closed
}

// oneConn is a listener of one connection.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	given  bool
	closed chan struct{}
}

// Accept returns the connection, then waits for its end.
func (l *oneConn) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

// Close ends Accept.
func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

// limitSilence bounds the wait for each piece of a request's body, also if it is only read to be thrown away. The limit is
// off when the body is read, and set anew after the request: http.Server does both.
func limitSilence(w http.ResponseWriter, q *http.Request) {
	if q.ContentLength != 0 {
		b := patientBody{q.Body, http.NewResponseController(w)}
		b.wait()
		q.Body = b
	}
}

// patientBody is a body whose sender may be slow, and not silent.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

// Read implements io.Reader.
func (b patientBody) Read(p []byte) (int, error) {
	b.wait()
	return b.ReadCloser.Read(p)
}

func (b patientBody) wait() {
	_ = b.conn.SetReadDeadline(time.Now().Add(patience)) // fails only where reading does
}

// newWeb returns the handler of every HTTP request: /api/v1, /metadata and /targets of the default repository, and the same
// below /repositories/NAME.
func (s *Server) newWeb() http.Handler {
	routes := s.routes()
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.activity.Add(1)
		defer s.activity.Add(-1)
		limitSilence(w, q)
		name, rest := trust.DefaultRepository, path.Clean("/"+q.URL.Path)
		if below, ok := strings.CutPrefix(rest, "/repositories/"); ok {
			name, rest, _ = strings.Cut(below, "/")
			rest = "/" + rest
		}
		switch {
		case strings.HasPrefix(rest, "/api/v1/"):
			s.serveAPI(w, q, routes, name, strings.TrimPrefix(rest, "/api/v1/"))
		case strings.HasPrefix(rest, "/metadata/"), strings.HasPrefix(rest, "/targets/"):
			s.serveFile(w, q, name, rest[1:])
		default:
			reply(w, http.StatusNotFound, body{"detail": "Not Found"})
		}
	})
}

// serveFile serves what clients fetch.
func (s *Server) serveFile(w http.ResponseWriter, q *http.Request, name, file string) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		reply(w, http.StatusMethodNotAllowed, body{"detail": "Method Not Allowed"})
		return
	}
	r, err := s.repository(q.Context(), name, false)
	if err == nil {
		err = serveFrom(w, q, r.folder.dir, file)
	}
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, ipc.NotFound) || errors.Is(err, ipc.BadRequest):
		reply(w, http.StatusNotFound, body{"detail": "Not Found"})
	default:
		s.log.Error("cannot serve a file", "err", err, "file", file)
		reply(w, http.StatusInternalServerError, body{"detail": "Internal Server Error"})
	}
}

func serveFrom(w http.ResponseWriter, q *http.Request, dir, file string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.Open(file)
	if err != nil {
		return fs.ErrNotExist
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fs.ErrNotExist
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if strings.HasSuffix(file, ".json") {
		w.Header().Set("Content-Type", "application/json")
	}
	modified := info.ModTime()
	if path.Base(file) == timestampFile {
		modified = time.Time{} // there may be two versions in a second, of which a cache would keep the first
	}
	http.ServeContent(w, q, "", modified, f)
	return nil
}
