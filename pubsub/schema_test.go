package pubsub_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
)

type built struct {
	Commit []byte `cbor:"0,keyasint"`
	OK     bool   `cbor:"1,keyasint"`
}

func schemas() pubsub.Schemas {
	return pubsub.Schemas{pubsub.SchemaOf("script.built/1", "built = { 0: bstr, 1: bool }", func(b built) any {
		return map[string]any{"ok": b.OK, "length": len(b.Commit)}
	})}
}

func TestView(t *testing.T) {
	data, err := ipc.Marshal(built{Commit: []byte{1, 2}, OK: true})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 12, 0, 0, 5000, time.FixedZone("", 3600))
	for _, test := range []struct{ schema, want string }{
		{"script.built/1", `{"seq":7,"time":"2026-11-21T11:00:00.000005Z","topic":"rad.a.script.built","id":"x","schema":"script.built/1","data":{"length":2,"ok":true}}`},
		{"script.built/2", `{"seq":7,"time":"2026-11-21T11:00:00.000005Z","topic":"rad.a.script.built","id":"x","schema":"script.built/2","data":"ogBCAQIB9Q=="}`},
	} {
		e := pubsub.Event{Seq: 7, Time: at, Message: pubsub.Message{Topic: "rad.a.script.built", ID: "x", Schema: test.schema, Data: data}}
		got, err := json.Marshal(schemas().View(e))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %v\n got %s\nwant %s", test.schema, err, got, test.want)
		}
	}
}

// FuzzView: whatever an event carries, it can be printed.
func FuzzView(f *testing.F) {
	good, _ := ipc.Marshal(built{OK: true})
	f.Add("script.built/1", good)
	f.Add("script.built/1", []byte{0xa1})
	f.Add("", []byte("text"))
	f.Fuzz(func(t *testing.T, schema string, data []byte) {
		if _, err := json.Marshal(schemas().View(pubsub.Event{Message: pubsub.Message{Schema: schema, Data: data}})); err != nil {
			t.Error(err)
		}
	})
}

func TestDescribe(t *testing.T) {
	if s, ok := schemas().Describe("script.built/1"); !ok || s.CDDL == "" {
		t.Error("a known schema is not described")
	}
	if _, ok := schemas().Describe("other/1"); ok {
		t.Error("an unknown schema is described")
	}
}
