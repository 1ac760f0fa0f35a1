package activate

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
)

// TestPeek leaves the byte where it is, and tells a peer that closes without a word.
func TestPeek(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accept := func(say string) *Conn {
		client, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(client, say); err != nil {
			t.Fatal(err)
		}
		client.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return &Conn{UnixConn: c.(*net.UnixConn)}
	}
	c := accept("SSH-2.0-x")
	for range 2 {
		if first, err := c.Peek(); err != nil || first != 'S' {
			t.Errorf("peeked %q, %v", first, err)
		}
	}
	if all, err := io.ReadAll(c); err != nil || string(all) != "SSH-2.0-x" {
		t.Errorf("then read %q, %v", all, err)
	}
	if first, err := accept("").Peek(); !errors.Is(err, io.EOF) {
		t.Errorf("peeked %q, %v at a peer that says nothing", first, err)
	}
}
