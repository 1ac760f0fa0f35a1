package busd

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/lnk-suite/lnk/ipc/peercred"
)

// TestDamage breaks the store in ways that the embedded server passes over: it opens, with events missing, and may give
// their numbers out again.
func TestDamage(t *testing.T) {
	const events = 20
	half := func(b []byte) []byte { return b[:len(b)/2] }
	torn := func(b []byte) []byte { return b[:len(b)-10] }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b }
	same := func(b []byte) []byte { return b }
	for _, test := range []struct {
		name    string
		block   func([]byte) []byte
		index   bool // still there
		damaged bool
	}{
		{"nothing", same, true, false},
		{"no index", same, false, false},
		{"half a block", half, true, true},
		{"half a block and no index", half, false, true},
		{"the last event torn", torn, true, true},
		{"the last event torn and no index", torn, false, true},
		{"a byte in the middle", flip, true, true},
		{"a byte in the middle and no index", flip, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), MaxStore: defaultStore, PerTopic: defaultPerTopic}
			store(t, config, events)
			blocks, err := filepath.Glob(filepath.Join(config.Dir, "jetstream", "$G", "streams", StreamName, "msgs", "*.blk"))
			if err != nil || len(blocks) != 1 {
				t.Fatalf("blocks %v, %v", blocks, err)
			}
			data, err := os.ReadFile(blocks[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(blocks[0], test.block(data), 0o600); err != nil {
				t.Fatal(err)
			}
			if !test.index {
				if err := os.Remove(filepath.Join(filepath.Dir(blocks[0]), "index.db")); err != nil {
					t.Fatal(err)
				}
			}
			e, err := startEngine(config, 1)
			if errors.Is(err, errUnreadable) != test.damaged {
				t.Errorf("got %v", err)
			}
			if err == nil {
				if state := e.state(); state.Msgs != events {
					t.Errorf("%d of %d events are there", state.Msgs, events)
				}
				e.stop()
			}
		})
	}
}

// store leaves n events in a store.
func store(t *testing.T, config Config, n int) {
	t.Helper()
	e, err := startEngine(config, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	conn, err := e.ns.InProcessConn()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head, forget := e.register(peercred.Cred{}, self)
	defer forget()
	a, err := newAdmin(conn, head)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := a.request("rad.z6MkPeer.script.built", i, nil); err != nil {
			t.Fatal(err)
		}
	}
}
