package supervisor

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
)

func TestGateway(t *testing.T) {
	path := filepath.Join(newRig(t).dir, "s")
	daemon, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close()
	ctx, cancel := context.WithCancel(t.Context())
	g, err := openGateways(ctx, []Gateway{{"127.0.0.1:0", path}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", g.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "GET /\n"); err != nil {
		t.Fatal(err)
	}
	c, err := daemon.Accept()
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "PROXY TCP4 127.0.0.1 127.0.0.1 ") || !strings.HasSuffix(line, "\r\n") {
		t.Errorf("announced as %q, %v", line, err)
	}
	if line, err := in.ReadString('\n'); err != nil || line != "GET /\n" {
		t.Errorf("%q, %v", line, err)
	}
	_, _ = io.WriteString(c, "answer")
	_ = c.Close()
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "answer" {
		t.Errorf("%q, %v", answer, err)
	}
	cancel()
	g.close()
}

func TestGatewayRefuses(t *testing.T) {
	for address, want := range map[string]ipc.Code{"0.0.0.0:0": ipc.BadRequest, "example.org:80": ipc.BadRequest, "127.0.0.1": ipc.BadRequest} {
		if _, err := openGateways(t.Context(), []Gateway{{Address: address}}, nil); ipc.CodeOf(err) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := openGateways(t.Context(), []Gateway{{Address: taken.Addr().String()}}, nil); ipc.CodeOf(err) != ipc.Conflict {
		t.Error(err)
	}
}
