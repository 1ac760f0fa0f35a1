package git_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
)

const (
	someURN  = project.URN("rad:z2XrHeyfVzMBQTuLhaCs4R5A8ppXP")
	somePeer = peer.ID("z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")
)

func signed(seq uint64, refs map[string]project.OID) project.SignedRefs {
	return project.SignedRefs{URN: someURN, Peer: somePeer, Seq: seq, Refs: refs}
}

func TestEvents(t *testing.T) {
	a, b := project.OID{1}, project.OID{2}
	before := signed(4, map[string]project.OID{"refs/heads/main": a, "refs/heads/gone": a, "refs/heads/same": b})
	next := signed(5, map[string]project.OID{"refs/heads/main": b, "refs/heads/new": a, "refs/heads/same": b})
	messages, err := git.Events(before, next)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		ref      string
		old, new project.OID
	}{{"refs/heads/gone", a, project.OID{}}, {"refs/heads/main", a, b}, {"refs/heads/new", project.OID{}, a}}
	if len(messages) != len(want) {
		t.Fatalf("%d events, want %d", len(messages), len(want))
	}
	for i, m := range messages {
		var u git.Updated
		if err := ipc.Unmarshal(m.Data, &u); err != nil {
			t.Fatal(err)
		}
		if u.Ref != want[i].ref || string(u.Old) != string(want[i].old[:]) || string(u.New) != string(want[i].new[:]) || string(u.Namespace) != string(someURN.Bytes()) {
			t.Errorf("event %d is %+v, want %+v", i, u, want[i])
		}
		if m.Topic != "rad."+string(somePeer)+".git.updated" || m.Schema != git.UpdatedSchema || len(m.ID) != 32 {
			t.Errorf("message %+v", m)
		}
	}
}

// What was published before a crash and is published again after it must be known for the same; all else for different.
func TestEventIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := rapid.SampledFrom([]string{"refs/heads/a", "refs/heads/b"})
		oid := rapid.SampledFrom([]project.OID{{1}, {2}})
		draw := func(label string) (string, uint64, project.OID) {
			return ref.Draw(t, label), rapid.Uint64Range(1, 3).Draw(t, label), oid.Draw(t, label)
		}
		idOf := func(ref string, seq uint64, oid project.OID) string {
			messages, err := git.Events(project.SignedRefs{}, signed(seq, map[string]project.OID{ref: oid}))
			if err != nil || len(messages) != 1 {
				t.Fatalf("%v, %v", messages, err)
			}
			return messages[0].ID
		}
		refA, seqA, oidA := draw("first")
		refB, seqB, oidB := draw("second")
		same := refA == refB && seqA == seqB && oidA == oidB
		if got := idOf(refA, seqA, oidA) == idOf(refB, seqB, oidB); got != same {
			t.Fatalf("ids are the same: %v, want %v", got, same)
		}
	})
}

// The form that scripts rely on.
func TestUpdatedJSON(t *testing.T) {
	messages, err := git.Events(project.SignedRefs{}, signed(1, map[string]project.OID{"refs/heads/main": {0xab}}))
	if err != nil {
		t.Fatal(err)
	}
	view, err := git.Schema().JSON(messages[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"project":"rad:z2XrHeyfVzMBQTuLhaCs4R5A8ppXP","ref":"refs/heads/main","oid_old":"0000000000000000000000000000000000000000",` +
		`"oid_new":"ab00000000000000000000000000000000000000","namespace":"` + namespaceHex() + `"}`
	if string(text) != want {
		t.Errorf("JSON is %s, want %s", text, want)
	}
}

func namespaceHex() string { return someURN.ID().String() }

// Every argument and result survives the wire.
func TestMethodsRoundTrip(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	p := git.Project{URN: someURN, Name: "n", DefaultBranch: "main", Delegates: []peer.ID{somePeer}, Threshold: 1, Version: 1, Expires: now, Peers: []peer.ID{}}
	data, err := ipc.Marshal(git.ProjectsResult{Projects: []git.Project{p}})
	if err != nil {
		t.Fatal(err)
	}
	var back git.ProjectsResult
	if err := ipc.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Projects[0]; got.URN != p.URN || !got.Expires.Equal(now) || got.Head != p.Head || got.Delegates[0] != somePeer {
		t.Errorf("came back as %+v", got)
	}
}

// The form that scripts rely on.
func TestIdentityJSON(t *testing.T) {
	step := sampleStep(t)
	view, err := git.IdentitySchemaOf().JSON(step.Data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"project":"rad:z2XrHeyfVzMBQTuLhaCs4R5A8ppXP","step":"signed","version":2,"digest":"` + strings.Repeat("07", 32) +
		`","expires":"2026-11-01T00:00:00Z","since":"2026-11-01T00:00:00Z","key":"` + string(somePeer) + `","signed":1,"threshold":2}`
	if string(text) != want {
		t.Errorf("JSON is %s, want %s", text, want)
	}
	m := git.IdentityEvent(step)
	if m.Topic != "rad."+string(somePeer)+".git.identity.signed" || m.Schema != git.IdentitySchema || m.ID != step.Commit.String() || pubsub.CheckTopic(m.Topic) != nil {
		t.Errorf("message %+v", m)
	}
}

func sampleStep(t testing.TB) project.RecordedStep {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	step := project.Step{
		Kind: project.StepSigned, Project: someURN.Bytes(), Peer: somePeer, Version: 2, Digest: bytes.Repeat([]byte{7}, 32),
		Expires: now, Since: now, Key: somePeer, Signed: 1, Threshold: 2,
	}
	data, err := ipc.Marshal(step)
	if err != nil {
		t.Fatal(err)
	}
	return project.RecordedStep{Step: step, Commit: project.OID{9}, Data: data}
}

func FuzzIdentityStep(f *testing.F) {
	f.Add(sampleStep(f).Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		view, err := git.IdentitySchemaOf().JSON(data)
		if err != nil {
			return
		}
		if _, err := json.Marshal(view); err != nil {
			t.Error(err)
		}
	})
}

func FuzzUpdated(f *testing.F) {
	messages, _ := git.Events(project.SignedRefs{}, signed(1, map[string]project.OID{"refs/heads/main": {0xab}}))
	f.Add(messages[0].Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		view, err := git.Schema().JSON(data)
		if err != nil {
			return
		}
		if _, err := json.Marshal(view); err != nil {
			t.Error(err)
		}
	})
}
