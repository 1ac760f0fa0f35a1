package cli

import (
	"testing"
	"time"

	"github.com/lnk-suite/lnk/pubsub"
)

func TestFailPolicy(t *testing.T) {
	for text, want := range map[string]failPolicy{"stop": {}, "skip": {skip: true}, "retry:3": {retries: 3}, "retry 3": {retries: 3}, "retry:0": {}} {
		got := failPolicy{skip: true, retries: 9}
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "retry", "retry:", "retry:-1", "retry:x", "retry:70000", "stop:1", "skip 2", "Stop"} {
		if err := new(failPolicy).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestStartFrom(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, test := range []struct {
		replay string
		last   uint64
		want   pubsub.Start
	}{
		{"", 0, pubsub.Start{}},
		{"all", 0, pubsub.Start{All: true}},
		{"last", 0, pubsub.Start{Last: true}},
		{"seq:7", 0, pubsub.Start{Seq: 7}},
		{"1m40s", 0, pubsub.Start{Since: time.Unix(900, 0)}},
		{"", 4, pubsub.Start{Seq: 5}},
		{"all", 4, pubsub.Start{Seq: 5}},
	} {
		got, err := startFrom(subArgs{Replay: test.replay}, test.last, now)
		if err != nil || got != test.want {
			t.Errorf("--replay %q behind %d: %+v, %v", test.replay, test.last, got, err)
		}
	}
	for _, replay := range []string{"seq:", "seq:0", "seq:-1", "seq:x", "-1h", "0s", "yesterday", "All"} {
		if got, err := startFrom(subArgs{Replay: replay}, 0, now); err == nil {
			t.Errorf("--replay %q was accepted: %+v", replay, got)
		}
	}
}

func TestFillIn(t *testing.T) {
	got := fillIn([]string{"{1}", "a{2}b{2}", "{3}", "{0}", "{x}", "{{1}}"}, []string{"rad", "z6Mk"})
	want := []string{"rad", "az6Mkbz6Mk", "{3}", "{0}", "{x}", "{rad}"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("argument %d is %q, want %q", i, got[i], want[i])
		}
	}
}
