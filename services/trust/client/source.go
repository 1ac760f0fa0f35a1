package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// Source is where the files of a repository come from.
type Source interface {
	// Open returns a file by its name in a URL, relative to the source: what is no plain character is escaped. The error is
	// fs.ErrNotExist if there is none or if it is not for us.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Close ends what waits for more requests.
	Close()
}

// stall is how long a server may send nothing, and fetch how long a whole document may take.
const (
	stall = 30 * time.Second
	fetch = 2 * time.Minute
)

// maxHead is the size in bytes above which the head of an answer is not read.
const maxHead = 64 << 10

var errStalled = fmt.Errorf("nothing came for %s", stall)

// read returns a document of at most limit bytes.
func read(ctx context.Context, from Source, name string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetch)
	defer cancel()
	r, err := from.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, ipc.Errorf(ipc.TooLarge, "%s has more than %d bytes", name, limit)
	}
	return data, nil
}

// Web is a Source behind HTTP.
type Web struct {
	base string
	http http.Client
}

// NewWeb returns the source below base, a URL with http or https.
func NewWeb(base string) (*Web, error) { return newWeb(base, nil) }

// NewSocketWeb returns the source below base at the server that listens on a UNIX socket.
func NewSocketWeb(socket, base string) (*Web, error) {
	return newWeb(base, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	})
}

func newWeb(base string, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*Web, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, ipc.Errorf(ipc.BadRequest, "%q is no URL with http or https", base)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial, DisableCompression: true, ForceAttemptHTTP2: dial == nil,
		MaxResponseHeaderBytes: maxHead,
	}
	if dial != nil {
		transport.Proxy = nil
	}
	return &Web{strings.TrimRight(base, "/"), http.Client{Transport: transport}}, nil
}

// Close implements Source.
func (w *Web) Close() { w.http.CloseIdleConnections() }

// Open implements Source. Reading ends with an error when the server sends nothing for half a minute.
func (w *Web) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	b := &body{ctx: ctx, cancel: cancel, timer: time.AfterFunc(stall, func() { cancel(errStalled) })}
	err := b.open(w, w.base+"/"+name)
	if err == nil {
		return b, nil
	}
	b.end()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return nil, ipc.Errorf(ipc.Unavailable, "%w", err)
}

// body is an answer, with a clock that runs while nothing comes.
type body struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	from   io.ReadCloser
}

func (b *body) open(w *Web, address string) error {
	q, err := http.NewRequestWithContext(b.ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := w.http.Do(q)
	if err != nil {
		return b.why(err)
	}
	b.from = answer.Body
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound, http.StatusForbidden:
		return fmt.Errorf("%s: %s: %w", address, answer.Status, fs.ErrNotExist)
	}
	return fmt.Errorf("%s: %s", address, answer.Status)
}

func (b *body) why(err error) error {
	if context.Cause(b.ctx) == errStalled {
		err = errStalled
	}
	return ipc.Errorf(ipc.Unavailable, "%w", err)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if n > 0 {
		b.timer.Reset(stall)
	}
	if err != nil && err != io.EOF {
		err = b.why(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.end()
	return nil
}

func (b *body) end() {
	b.timer.Stop()
	b.cancel(nil)
	if b.from != nil {
		_ = b.from.Close()
	}
}

// Tree is a Source in a folder.
type Tree string

// Close implements Source.
func (Tree) Close() {}

// Open implements Source. Nothing outside the folder is opened.
func (t Tree) Open(_ context.Context, name string) (io.ReadCloser, error) {
	plain, err := url.PathUnescape(name)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(string(t))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Stat(plain); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file: %w", name, fs.ErrNotExist)
	}
	return root.Open(plain)
}
