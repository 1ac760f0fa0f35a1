package busd

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func TestRoleOfProgram(t *testing.T) {
	for _, test := range []struct {
		path string
		want Role
	}{
		{"/usr/bin/lnk-gitd", "git"}, {"/usr/bin/lnk-agentd", "agent"}, {"/usr/bin/lnk-gitd (deleted)", "git"},
		{"/tmp/lnk-gitd", ""}, {"/usr/bin/lnk", ""}, {"/usr/bin/sub/lnk-gitd", ""}, {"lnk-gitd", ""}, {"", ""},
	} {
		if got, ok := roleOfProgram(test.path, "/usr/bin"); got != test.want || ok != (test.want != "") {
			t.Errorf("%q is %q", test.path, got)
		}
	}
}

func TestRoleOfUnit(t *testing.T) {
	for _, test := range []struct {
		unit string
		want Role
	}{
		{"lnk-gitd@z6MkPeer.service", "git"}, {"lnk-trustd.service", "trust"}, {"lnk-gitd@z6MkPeer.socket", ""},
		{"mylnk-gitd.service", ""}, {"init.scope", ""}, {"", ""},
	} {
		if got, ok := roleOfUnit(test.unit); got != test.want || ok != (test.want != "") {
			t.Errorf("%q is %q", test.unit, got)
		}
	}
}

// TestLimitsOfAnOldStream: a store made by an older version gets today's limits and keeps its numbers.
func TestLimitsOfAnOldStream(t *testing.T) {
	config := Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), MaxStore: defaultStore, PerTopic: 100}
	old, err := startEngine(config, 5000)
	if err != nil {
		t.Fatal(err)
	}
	old.stop()
	config.PerTopic = defaultPerTopic
	for range 2 {
		e, err := startEngine(config, 1)
		if err != nil {
			t.Fatal(err)
		}
		info, err := e.ns.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Config: true})
		if err != nil {
			t.Fatal(err)
		}
		stream := info.AccountDetails[0].Streams[0]
		if stream.Config.MaxMsgsPer != defaultPerTopic || stream.State.FirstSeq != 5000 {
			t.Errorf("the stream has limit %d and first number %d", stream.Config.MaxMsgsPer, stream.State.FirstSeq)
		}
		e.stop()
	}
}

func TestSetAsideKeepsFew(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		if err := os.MkdirAll(filepath.Join(dir, storeFolder), 0o700); err != nil {
			t.Fatal(err)
		}
		aside, err := setAside(dir, time.Unix(int64(i), 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(aside); err != nil {
			t.Error(err)
		}
	}
	kept, _ := filepath.Glob(filepath.Join(dir, asidePrefix+"*"))
	if len(kept) != keepAside || filepath.Base(kept[0]) != asidePrefix+"19700101T000002.000000000Z" {
		t.Errorf("kept %v", kept)
	}
}

// TestHalfMadeStore: a crash between making the stream's folder and describing it loses nothing and worries nobody.
func TestHalfMadeStore(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, storeFolder, "$G", "streams", StreamName, "msgs"), 0o700); err != nil {
		t.Fatal(err)
	}
	bus := New(Config{Dir: dir})
	defer bus.Close()
	e, err := bus.running()
	if err != nil {
		t.Fatal(err)
	}
	if state := e.state(); state.FirstSeq > 1 {
		t.Errorf("the first number is %d", state.FirstSeq)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, asidePrefix+"*")); len(aside) != 0 {
		t.Errorf("set aside %v", aside)
	}
}
