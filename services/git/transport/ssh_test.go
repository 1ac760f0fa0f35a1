package transport_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/services/git/transport"
)

// listen returns the path of a socket whose connections serve gets, with their numbers.
func listen(t *testing.T, serve func(n int, c *net.UnixConn)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			serve(n, c)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		os.RemoveAll(dir)
	})
	return path
}

// A gitd that hangs up without a word is leaving: the next one gets the connection, and the banner is left for ssh.
func TestConnectSSHAsksTheNextInstance(t *testing.T) {
	const banner = "SSH-2.0-x\r\n"
	path := listen(t, func(n int, c *net.UnixConn) {
		if n == 3 {
			_, _ = io.ReadFull(c, make([]byte, len("SSH\r\n"))) // what is not read is a reset for the client
			_, _ = io.WriteString(c, banner)
		}
	})
	socket, err := transport.ConnectSSH(path)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	got, err := io.ReadAll(io.LimitReader(socket, int64(len(banner))))
	if err != nil || string(got) != banner {
		t.Errorf("ssh reads %q, %v, want %q", got, err, banner)
	}
}

func TestConnectSSHGivesUp(t *testing.T) {
	path := listen(t, func(int, *net.UnixConn) {})
	if _, err := transport.ConnectSSH(path); err == nil || !strings.Contains(err.Error(), "without an answer") {
		t.Errorf("error is %v", err)
	}
	if _, err := transport.ConnectSSH(path + "x"); err == nil {
		t.Error("connected to nothing")
	}
}

// Pass does what OpenSSH expects of a ProxyCommand: one message with one descriptor.
func TestPass(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	to := os.NewFile(uintptr(fds[0]), "to")
	defer to.Close()
	defer unix.Close(fds[1])
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := transport.Pass(to, file); err != nil {
		t.Fatal(err)
	}
	data, rights := make([]byte, 8), make([]byte, unix.CmsgSpace(4))
	n, rightsLen, _, _, err := unix.Recvmsg(fds[1], data, rights, 0)
	if err != nil || n != 1 {
		t.Fatalf("%d bytes, %v, want 1", n, err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rightsLen])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages, %v, want 1", len(messages), err)
	}
	passed, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(passed) != 1 {
		t.Fatalf("passed %v, %v, want one descriptor", passed, err)
	}
	unix.Close(passed[0])
	if err := transport.Pass(file, file); err == nil || !strings.Contains(err.Error(), "ProxyUseFdpass") {
		t.Errorf("passing to a file: %v", err)
	}
}
