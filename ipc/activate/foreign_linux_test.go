package activate

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A caller of another user is refused before a byte is read, even if file modes let it in.
func TestForeignUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to connect as another user")
	}
	dir := socketDir(t)
	path := filepath.Join(dir, "s.sock")
	l := mustBind(t, path)
	must(t, os.Chmod(dir, 0o711))
	must(t, os.Chmod(path, 0o777))
	log := make(chan string, 1)
	server := &Server{Log: slog.New(slog.NewTextHandler(lines(log), nil)), Handle: func(context.Context, *Conn) { t.Error("a foreign connection was handled") }}
	ctx, stop := context.WithCancel(t.Context())
	done := serve(ctx, server, l)
	c, err := dialAs(12345, path)
	must(t, err)
	defer c.Close()
	_, _ = c.Write([]byte("let me in"))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read = %d, %v", n, err)
	}
	if line := <-log; !strings.Contains(line, "uid 12345") || !strings.Contains(line, "pid=") {
		t.Errorf("log %q", line)
	}
	stop()
	must(t, <-done)
}

// dialAs connects from a thread that has another user, and ends with its goroutine.
func dialAs(uid int, path string) (*net.UnixConn, error) {
	type result struct {
		c   *net.UnixConn
		err error
	}
	dialled := make(chan result)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := unix.Syscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			dialled <- result{nil, errno}
			return
		}
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		dialled <- result{c, err}
	}()
	r := <-dialled
	return r.c, r.err
}
