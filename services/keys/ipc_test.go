package keys_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// TestErrorsCross: whoever asks a daemon for a signature learns code, cause and cure just as the daemon did.
func TestErrorsCross(t *testing.T) {
	id, err := peer.FromPublicKey(keystest.Signer(1).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	agents := map[string]keys.Agent{
		"not running": {Path: filepath.Join(keystest.ShortDir(t), "none")},
		"empty":       keystest.Agent(t),
		"hangs up":    fakeAgent(t, func(net.Conn) {}),
		"garbage":     fakeAgent(t, answer([]byte("220 mail.example.org ESMTP\r\n"))),
	}
	absent := keystest.Agent(t)
	keystest.AddKey(t, absent)
	agents["absent"] = absent
	sign := ipc.Unary[string, []byte]{Name: "test.sign", Access: ipc.Change, Short: "sign through an agent"}
	mux := ipc.NewMux("test", "1")
	sign.Handle(mux, func(ctx context.Context, name string) ([]byte, error) {
		return agents[name].Signer(id).Sign(ctx, message)
	})
	path := filepath.Join(keystest.ShortDir(t), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := &ipc.Server{Mux: mux}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(t.Context(), c, nil)
		}
	}()
	client := ipc.NewClient(path, "test")
	defer client.Close()
	for name, a := range agents {
		_, want := a.Signer(id).Sign(t.Context(), message)
		_, got := sign.Call(t.Context(), client, name)
		if !errors.Is(got, ipc.NoKey) || got.Error() != want.Error() || ipc.HintOf(got) != ipc.HintOf(want) || ipc.HintOf(got) == "" {
			t.Errorf("%s: got %v (hint: %s), want %v (hint: %s)", name, got, ipc.HintOf(got), want, ipc.HintOf(want))
		}
	}
}
