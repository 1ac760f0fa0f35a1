package project

import (
	"bytes"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

func sampleStep() Step {
	return Step{
		Kind: StepSigned, Project: NewURN(OID{0xaa}).Bytes(), Peer: signer(1).id(), Version: 2, Digest: bytes.Repeat([]byte{7}, 32),
		Expires: day, Since: day, Key: signer(2).id(), Signed: 1, Threshold: 2,
	}
}

// TestStepBytes pins the format: the record of a project must be readable for ever.
func TestStepBytes(t *testing.T) {
	data, err := ipc.Marshal(sampleStep())
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) string { return hex.EncodeToString([]byte(s)) }
	when := "74" + text("2026-10-05T12:00:00Z")
	want := "aa" + "00" + "66" + text("signed") + "01" + "54aa" + strings.Repeat("00", 19) + "02" + "7830" + text(string(signer(1).id())) +
		"03" + "02" + "04" + "5820" + strings.Repeat("07", 32) + "05" + when + "06" + when + "07" + "7830" + text(string(signer(2).id())) +
		"08" + "01" + "09" + "02"
	if got := hex.EncodeToString(data); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStepRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sampleStep()
		s.Kind = rapid.SampledFrom(stepKinds).Draw(t, "kind")
		s.Version, s.Signed, s.Threshold = rapid.Int64Min(1).Draw(t, "version"), rapid.IntRange(0, 1024).Draw(t, "signed"), rapid.IntRange(1, 1024).Draw(t, "threshold")
		s.Since = time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "since"), 0).UTC()
		data, err := ipc.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeStep(data)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ipc.Marshal(again); err != nil || !bytes.Equal(back, data) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}

func TestStepRefused(t *testing.T) {
	for what, change := range map[string]func(*Step){
		"kind":      func(s *Step) { s.Kind = "stolen" },
		"project":   func(s *Step) { s.Project = s.Project[1:] },
		"peer":      func(s *Step) { s.Peer = "z6Mk" },
		"key":       func(s *Step) { s.Key = "z6Mk" },
		"version":   func(s *Step) { s.Version = 0 },
		"digest":    func(s *Step) { s.Digest = nil },
		"signed":    func(s *Step) { s.Signed = -1 },
		"threshold": func(s *Step) { s.Threshold = 0 },
		"too long":  func(s *Step) { s.Kind = strings.Repeat("a", maxStep) },
	} {
		s := sampleStep()
		change(&s)
		data, err := ipc.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeStep(data); !errors.Is(err, ipc.Corrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzDecodeStep(f *testing.F) {
	data, err := ipc.Marshal(sampleStep())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeStep(data)
		if err != nil {
			return
		}
		if again, err := ipc.Marshal(s); err != nil || len(again) == 0 || s.check() != nil {
			t.Errorf("accepted %+v, %v", s, err)
		}
	})
}

// TestDesk reads what the record says at each of its points.
func TestDesk(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	desk := func() Desk {
		t.Helper()
		d, err := f.Desk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := desk(); d.Process.Document() != nil || d.Identity.Version != 1 || !d.SigningTip.IsZero() || d.Torn != nil {
		t.Errorf("nothing was recorded: %+v", d)
	}
	spec := f.identity.Spec()
	spec.Name = "next"
	step := sampleStep()
	step.Project = f.URN.Bytes()
	record := func(parent OID, waits trust.Document, s Step) OID {
		t.Helper()
		oid, err := f.WriteStep(t.Context(), s, parent, waits, day)
		if err != nil {
			t.Fatal(err)
		}
		f.git("update-ref", SigningRef, oid.String())
		return oid
	}
	next := draft(t, f.identity, spec, signer(1))
	first := record(OID{}, next, step)
	store := Store{Dir: filepath.Dir(f.Dir)}
	for _, where := range []string{"loose", "packed"} {
		if waiting, err := store.Waiting(t.Context()); err != nil || len(waiting) != 1 || waiting[0].Identity.URN != f.URN {
			t.Errorf("%s: %d projects wait, %v", where, len(waiting), err)
		}
		f.git("pack-refs", "--all", "--prune")
	}
	if d := desk(); d.Process.Digest() != trust.DigestOf(next) || !d.Since.Equal(day) || d.SigningTip != first {
		t.Errorf("something waits: %+v", d)
	}
	f.setIdentity(advance(t, f.identity, spec, signer(1)))
	if d := desk(); d.Torn == nil || d.Process.Document() != nil || d.Process.Next() != 3 {
		t.Errorf("torn: %+v", d)
	}
	step.Kind = StepPublished
	second := record(first, nil, step)
	if d := desk(); d.Torn != nil || d.Identity.Version != 2 {
		t.Errorf("whole again: %+v", d)
	}
	steps, err := f.Steps(t.Context(), OID{}, second)
	if err != nil || len(steps) != 2 || steps[0].Kind != StepSigned || steps[1].Commit != second {
		t.Errorf("%+v, %v", steps, err)
	}
	if steps, err = f.Steps(t.Context(), first, second); err != nil || len(steps) != 1 || steps[0].Kind != StepPublished {
		t.Errorf("%+v, %v", steps, err)
	}
	f.fsck()
	if waiting, err := store.Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("nothing waits any more: %d, %v", len(waiting), err)
	}

	step.Project = NewURN(OID{1}).Bytes()
	record(second, nil, step)
	_, err = f.Desk(t.Context())
	if !errors.Is(err, ipc.Corrupt) || !strings.Contains(ipc.HintOf(err), "update-ref -d refs/rad/signing") {
		t.Errorf("the record of another project: %v", err)
	}
	f.git("update-ref", SigningRef, f.git("rev-parse", IdentityRef))
	if _, err := f.Desk(t.Context()); err == nil || !slices.Contains([]ipc.Code{ipc.Corrupt, ipc.NotFound}, ipc.CodeOf(err)) {
		t.Errorf("no record: %v", err)
	}
}
