package pubsub_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
)

func TestTopic(t *testing.T) {
	topic := pubsub.Topic("z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", "git", "updated")
	if topic != "rad.z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK.git.updated" {
		t.Error(topic)
	}
	if err := pubsub.CheckTopic(topic); err != nil {
		t.Error(err)
	}
}

func TestCheckTopic(t *testing.T) {
	for _, good := range []string{"rad.a.git.updated", "rad.a.b.c.d-e_F.9"} {
		if err := pubsub.CheckTopic(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "rad", "rad.a.git", "red.a.git.updated", "rad..git.updated", "rad.a.git.", "rad.a.git.*", "rad.a.git.>", "rad.a.git.a b",
		"rad.a.git.refs/heads/main", "rad.a.git.ü", "rad.a.git.a\r\nPUB", "rad.a.git." + strings.Repeat("x", 250), " rad.a.git.updated",
	} {
		if err := pubsub.CheckTopic(bad); !errors.Is(err, ipc.BadRequest) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzTopic: what we let through is what NATS takes literally, and a pattern of it if it has wildcards.
func FuzzTopic(f *testing.F) {
	for _, seed := range []string{"rad.a.git.updated", "rad.*.git.>", "rad.>", ">", "rad.a..b", "rad.a.b.c\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if pubsub.CheckTopic(s) == nil {
			if !server.IsValidPublishSubject(s) || !server.IsValidLiteralSubject(s) {
				t.Errorf("NATS does not take topic %q", s)
			}
			if pubsub.CheckPattern(s) != nil {
				t.Errorf("topic %q is not a pattern", s)
			}
		}
		if pubsub.CheckPattern(s) == nil && (!server.IsValidSubject(s) || !strings.HasPrefix(s, "rad.")) {
			t.Errorf("NATS does not take pattern %q", s)
		}
	})
}

func TestBadMessages(t *testing.T) {
	c := pubsub.NewClient("/nowhere", "test")
	for _, test := range []struct {
		name string
		m    pubsub.Message
		want ipc.Code
	}{
		{"topic", pubsub.Message{Topic: "rad.a"}, ipc.BadRequest},
		{"id with a line break", pubsub.Message{Topic: updated, ID: "a\r\nb"}, ipc.BadRequest},
		{"long id", pubsub.Message{Topic: updated, ID: strings.Repeat("x", 129)}, ipc.BadRequest},
		{"schema with a space", pubsub.Message{Topic: updated, Schema: "a b"}, ipc.BadRequest},
		{"too much data", pubsub.Message{Topic: updated, Data: make([]byte, pubsub.MaxData+1)}, ipc.TooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			good := messages(1, 1)[0]
			if _, err := c.Publish(t.Context(), good, test.m); !errors.Is(err, test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
