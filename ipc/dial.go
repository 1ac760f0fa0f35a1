package ipc

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// connect returns the connection that new calls go over, dialing if there is none. One caller dials, the others wait.
func (c *Client) connect(ctx context.Context, deadline time.Time) (*clientConn, error) {
	if conn := c.current.Load(); conn != nil {
		return conn, nil
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	select {
	case c.dialing <- struct{}{}:
		defer func() { <-c.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if conn := c.current.Load(); conn != nil {
		return conn, nil
	}
	nc, err := c.dial(ctx, c.path)
	if err != nil {
		return nil, err
	}
	return c.adopt(nc)
}

// adopt makes nc the current connection and starts its reader.
func (c *Client) adopt(nc net.Conn) (*clientConn, error) {
	conn := newClientConn(c, nc)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = nc.Close()
		return nil, errClosed
	}
	c.conns[conn] = struct{}{}
	c.current.Store(conn)
	c.wg.Add(1)
	go conn.read()
	return conn, nil
}

// retire makes new calls go elsewhere; those in flight still get their answers.
func (c *Client) retire(conn *clientConn) { c.current.CompareAndSwap(conn, nil) }

func (c *Client) forget(conn *clientConn) {
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
	c.wg.Done()
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Dial connects to the UNIX socket at path, for protocols other than this package's. It refuses a socket that somebody
// else may have put there: PermissionDenied; one that is absent or that nobody listens on is Unavailable, with the cure. A
// full backlog is waited out for as long as ctx allows, as the daemon behind it is being started.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	if err := checkSocket(path); err != nil {
		return nil, err
	}
	var dialer net.Dialer
	for attempt := 3; ; attempt++ {
		nc, err := dialer.DialContext(ctx, "unix", path)
		if !errors.Is(err, syscall.EAGAIN) {
			return nc, dialError(ctx, path, err)
		}
		if err := pause(ctx, attempt, time.Time{}); err != nil {
			return nil, err
		}
	}
}

func dialError(ctx context.Context, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded): // the dialer has a look at the clock, too, and may be ahead of ctx
		return context.DeadlineExceeded
	case errors.Is(err, syscall.ECONNREFUSED):
		return Errorf(Unavailable, "nothing listens on %s: %w", path, err).WithHint(startHint)
	case errors.Is(err, fs.ErrPermission):
		return Errorf(PermissionDenied, "cannot connect to %s: %w", path, err)
	}
	return Errorf(Unavailable, "cannot connect to %s: %w", path, err)
}

const startHint = "start the services with: lnk up"

// checkSocket refuses a socket that somebody else could have put there: it must belong to us or root, and so must its
// directory, which nobody else may write to.
func checkSocket(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Errorf(Unavailable, "no socket at %s", path).WithHint(startHint)
	case err != nil:
		return Errorf(Unavailable, "cannot look at the socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return Errorf(Unavailable, "%s is not a socket", path)
	}
	if err := checkOwner(path, info); err != nil {
		return err
	}
	return checkDirectory(filepath.Dir(path))
}

func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return Errorf(Unavailable, "cannot look at the socket's directory: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return Errorf(PermissionDenied, "others may write to %s, so its sockets cannot be trusted", dir).WithHint("chmod 700 " + dir)
	}
	return checkOwner(dir, info)
}

func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(stat.Uid) != os.Geteuid() && stat.Uid != 0 {
		return Errorf(PermissionDenied, "%s belongs to user %d, not to us", path, stat.Uid)
	}
	return nil
}
