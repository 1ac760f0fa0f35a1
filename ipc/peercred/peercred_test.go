package peercred

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestOf(t *testing.T) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	client, server := pair(t, "unix", filepath.Join(dir, "s"))
	for _, c := range []net.Conn{client, server} {
		got, err := Of(c.(syscall.Conn))
		want := Cred{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), PID: int32(os.Getpid())}
		if err != nil || got != want {
			t.Errorf("Of = %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestOfOtherSockets(t *testing.T) {
	tcp, _ := pair(t, "tcp", "127.0.0.1:0")
	if got, err := Of(tcp.(syscall.Conn)); err == nil {
		t.Errorf("Of a TCP connection = %+v, want an error", got)
	}
	tcp.Close()
	if got, err := Of(tcp.(syscall.Conn)); err == nil {
		t.Errorf("Of a closed connection = %+v, want an error", got)
	}
}

func pair(t *testing.T, network, address string) (client, server net.Conn) {
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if client, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}
