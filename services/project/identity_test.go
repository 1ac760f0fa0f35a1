package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

func TestIdentityRoundTrip(t *testing.T) {
	id := newTestIdentity(t, 2, signer(1), signer(2), signer(3))
	again, err := VerifyChain(id.Files())
	if err != nil {
		t.Fatal(err)
	}
	want := ids(signer(1), signer(2), signer(3))
	slices.Sort(want)
	if again.URN != id.URN || again.Name != "demo" || again.Description != "a <test>\nof \"lnk\"" || again.DefaultBranch != "main" ||
		!slices.Equal(again.Delegates, want) || again.Threshold != 2 || again.Version != 1 || !again.Expires.Equal(day.Add(Lifetime)) {
		t.Errorf("%+v", again)
	}
	if hashObject(kindBlob, id.Files()[0]) != id.URN.ID() || id.Blob != id.URN.ID() {
		t.Error("the URN is not the blob id of the first version")
	}
	if again.Expired(day) || !again.Expired(day.Add(Lifetime+time.Second)) {
		t.Error("expiry is not kept")
	}
	if !again.IsDelegate(signer(1).id()) || again.IsDelegate(signer(4).id()) {
		t.Error("delegates are confused")
	}
}

func TestThresholdDefaultsToMajority(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3} {
		var all []testSigner
		for i := range n {
			all = append(all, signer(byte(i+1)))
		}
		if id := newTestIdentity(t, 0, all...); id.Threshold != want {
			t.Errorf("%d delegates: threshold %d, want %d", n, id.Threshold, want)
		}
	}
}

func TestSpecRefused(t *testing.T) {
	me := ids(signer(1))
	for why, spec := range map[string]Spec{
		"no name":         {Delegates: me, Expires: day},
		"long name":       {Name: strings.Repeat("a", 65), Delegates: me, Expires: day},
		"two lines":       {Name: "a\nb", Delegates: me, Expires: day},
		"not UTF-8":       {Name: "\xff", Delegates: me, Expires: day},
		"replacement":     {Name: "\ufffd", Delegates: me, Expires: day},
		"description":     {Name: "a", Description: strings.Repeat("a", 4097), Delegates: me, Expires: day},
		"branch":          {Name: "a", DefaultBranch: "a..b", Delegates: me, Expires: day},
		"no delegate":     {Name: "a", Expires: day},
		"twice":           {Name: "a", Delegates: append(me, me...), Expires: day},
		"no peer":         {Name: "a", Delegates: []peer.ID{"z6Mk"}, Expires: day},
		"threshold":       {Name: "a", Delegates: me, Threshold: 2, Expires: day},
		"below threshold": {Name: "a", Delegates: me, Threshold: -1, Expires: day},
		"no expiry":       {Name: "a", Delegates: me},
	} {
		if _, err := (Identity{}).Next(spec); !errors.Is(err, ipc.BadRequest) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// TestSignedApart: delegates who never meet sign copies of their own, and whoever gets their signatures has the identity.
func TestSignedApart(t *testing.T) {
	none := Identity{}
	spec := Spec{Name: "demo", Delegates: ids(signer(1), signer(2), signer(3)), Threshold: 2, Expires: day}
	p, err := none.Signing(draft(t, none, spec, signer(1)).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Advance(p, day.Add(-time.Hour)); !errors.Is(err, ipc.Conflict) || !strings.Contains(err.Error(), string(signer(3).id())) {
		t.Errorf("one of two: %v", err)
	}
	theirs := draft(t, none, spec, signer(2))
	if p, _, err = p.Add(theirs.Signatures()[0], ""); err != nil {
		t.Fatal(err)
	}
	id, err := none.Advance(p, day.Add(-time.Hour))
	if err != nil || id.Threshold != 2 {
		t.Fatal(err)
	}
	if _, err := none.Advance(p, day); !errors.Is(err, trust.ErrExpired) {
		t.Errorf("too late: %v", err)
	}
	for why, data := range map[string][]byte{"nonsense": []byte("{}"), "no project": noProject(t).Bytes()} {
		if _, err := none.Signing(data); !errors.Is(err, ipc.Corrupt) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// noProject is a root document like those of other repositories.
func noProject(t *testing.T) *trust.Root {
	spec := newTestIdentity(t, 1, signer(1)).Newest().Spec()
	delete(spec.Extra, extension)
	root, err := trust.NewRoot(spec)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestNextKeeps: what a change does not speak of stays, and roles that are the delegates' follow them.
func TestNextKeeps(t *testing.T) {
	id := newTestIdentity(t, 1, signer(1))
	first := id.Newest().Spec()
	first.Version, first.Extra["x-other"] = 2, []byte(`{"kept":true}`)
	first.Extra[extension] = []byte(`{"default_branch":"main","description":"","name":"demo","later":1}`)
	online := trust.Role{Threshold: 1, Keys: first.Roles[trust.RoleTimestamp].Keys[:0:0]}
	key, err := trust.NewKey(signer(9).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	online.Keys = append(online.Keys, key)
	first.Roles[trust.RoleTimestamp] = online
	root, err := trust.NewRoot(first)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = trust.SignRoot(t.Context(), signer(1), root, id.Newest()); err != nil {
		t.Fatal(err)
	}
	p, err := id.Signing(root.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if id, err = id.Advance(p, day); err != nil {
		t.Fatal(err)
	}
	spec := id.Spec()
	spec.Name, spec.Delegates, spec.Names = "other", ids(signer(1), signer(2)), map[peer.ID]string{signer(2).id(): "ben", signer(3).id(): "eve"}
	spec.Threshold = 2
	next := draft(t, id, spec)
	if got := next.Role(trust.RoleTimestamp); len(got.Keys) != 1 || got.Keys[0].ID != key.ID {
		t.Errorf("timestamp was given to another key, now it is %+v", got)
	}
	if len(next.Role(trust.RoleSnapshot).Keys) != 2 || next.Role(trust.RoleTargets).Threshold != 2 {
		t.Error("snapshot and targets did not follow the delegates")
	}
	if extra, _ := next.Extra("x-other"); !strings.Contains(string(extra), "kept") {
		t.Errorf("x-other is %s", extra)
	}
	var members bytes.Buffer
	extra, _ := next.Extra(extension)
	if err := json.Compact(&members, extra); err != nil || members.String() != `{"default_branch":"main","description":"","later":1,"name":"other"}` {
		t.Errorf("%s is %s", extension, &members)
	}
	read, err := SpecOf(next)
	if err != nil || len(read.Names) != 1 || read.Names[signer(2).id()] != "ben" || len(next.Names()) != 1 {
		t.Errorf("names %v, %v", read.Names, err)
	}
}

// TestRotation: the delegates change one after the other until none of the first is left; the URN stays.
func TestRotation(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	id := f.identity
	steps := []struct {
		delegates, sign []testSigner
	}{
		{[]testSigner{signer(1), signer(2)}, []testSigner{signer(1), signer(2)}},
		{[]testSigner{signer(2), signer(3)}, []testSigner{signer(1), signer(2), signer(3)}},
		{[]testSigner{signer(4)}, []testSigner{signer(2), signer(3), signer(4)}},
	}
	for i, step := range steps {
		spec := Spec{Name: "demo", Delegates: ids(step.delegates...), Expires: day.AddDate(i, 0, 0)}
		if trust.RootProcess(id.Newest(), draft(t, id, spec, step.sign[len(step.sign)-1])).Complete() {
			t.Errorf("step %d: one signature is enough", i)
		}
		id = advance(t, id, spec, step.sign...)
		if id.URN != f.URN || id.Version != int64(i+2) || id.Blob == f.URN.ID() {
			t.Errorf("step %d: %+v", i, id)
		}
		f.setIdentity(id)
	}
	f.fsck()
	stored, err := f.Identity(t.Context())
	if err != nil || stored.Version != 4 || !slices.Equal(stored.Delegates, ids(signer(4))) {
		t.Errorf("%+v, %v", stored, err)
	}
	if got := f.git("log", "--format=%s", IdentityRef); got != "identity version 4\nidentity version 3\nidentity version 2\nidentity version 1" {
		t.Errorf("history: %s", got)
	}
}

func TestChainTampered(t *testing.T) {
	first := newTestIdentity(t, 1, signer(1))
	second := advance(t, first, Spec{Name: "demo", Delegates: ids(signer(2)), Expires: day}, signer(1), signer(2))
	files := second.Files()
	change := func(i int, old, new string) [][]byte {
		out := slices.Clone(files)
		out[i] = bytes.Replace(files[i], []byte(old), []byte(new), 1)
		if bytes.Equal(out[i], files[i]) {
			t.Fatalf("%q is not in version %d", old, i+1)
		}
		return out
	}
	for why, chain := range map[string][][]byte{
		"name":           change(1, `"demo"`, `"evil"`),
		"name of first":  change(0, `"demo"`, `"evil"`),
		"threshold":      change(1, `"threshold": 1`, `"threshold": 0`),
		"no signature":   {files[0], onlySigned(t, second, signer(2))},
		"order":          {files[1], files[0]},
		"first twice":    {files[0], files[0]},
		"first missing":  {files[1]},
		"none":           {},
		"trailing bytes": {append(bytes.Clone(files[0]), "{}"...), files[1]},
		"not a project":  change(0, extension, "x-lnk-projecx"),
	} {
		if id, err := VerifyChain(chain); !errors.Is(err, ipc.Corrupt) {
			t.Errorf("%s: %+v, %v", why, id, err)
		}
	}
}

// onlySigned is the newest version of id with the signature of one signer.
func onlySigned(t *testing.T, id Identity, s testSigner) []byte {
	first, err := VerifyChain(id.Files()[:1])
	if err != nil {
		t.Fatal(err)
	}
	return draft(t, first, Spec{Name: id.Name, Delegates: id.Delegates, Threshold: id.Threshold, Expires: id.Expires}, s).Bytes()
}

func FuzzVerifyChain(f *testing.F) {
	id := newTestIdentity(f, 1, signer(1))
	spec := Spec{Name: "demo", Delegates: ids(signer(2)), Expires: day}
	f.Add(id.Files()[0], draft(f, id, spec, signer(1), signer(2)).Bytes())
	f.Add(id.Files()[0], draft(f, id, spec).Bytes())
	f.Add([]byte("{}"), []byte(nil))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		id, err := VerifyChain([][]byte{first, second})
		if err != nil {
			return
		}
		if id.URN != NewURN(hashObject(kindBlob, first)) || id.Version != 2 || id.Threshold < 1 || len(id.Delegates) < id.Threshold || id.Name == "" {
			t.Errorf("accepted %+v", id)
		}
	})
}
