package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"pgregory.net/rapid"

	"github.com/lnk-suite/lnk/ipc"
)

func TestKeyID(t *testing.T) {
	pub := signer(1).PublicKey()
	k, err := NewKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := metadata.KeyFromPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := theirs.ID(); err != nil || k.ID != want {
		t.Errorf("key id %s, go-tuf says %s, %v", k.ID, want, err)
	}
	for why, bad := range map[string][]byte{"short": pub[:31], "neutral point": append([]byte{1}, make([]byte, 31)...), "nothing": nil} {
		if _, err := NewKey(bad); err == nil {
			t.Errorf("%s: admitted", why)
		}
	}
}

func TestRootReadsBack(t *testing.T) {
	root := newRoot(t, 3, 2, signers(1, 2, 3))
	again, err := ParseRoot(root.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	role := again.Role(RoleRoot)
	if again.Version() != 3 || !again.Expires().Equal(expires) || role.Threshold != 2 || len(role.Keys) != 3 || len(again.Signatures()) != 0 {
		t.Errorf("%d, %s, %+v", again.Version(), again.Expires(), role)
	}
	if again.Role("mirrors").Threshold != 0 {
		t.Error("a role that does not exist has a threshold")
	}
	note, ok := again.Extra("x-test-note")
	if !ok || !strings.Contains(string(note), "9007199254740991") {
		t.Errorf("extra member %s, %v", note, ok)
	}
	if _, ok := again.Extra("x-none"); ok {
		t.Error("an extra member out of nothing")
	}
}

func TestNewRootRefuses(t *testing.T) {
	role := roleOf(t, 1, signers(1))
	roles := map[string]Role{RoleRoot: role, RoleTargets: role, RoleSnapshot: role, RoleTimestamp: role}
	with := func(name string, r Role) map[string]Role {
		m := map[string]Role{name: r}
		for n, r := range roles {
			if _, set := m[n]; !set {
				m[n] = r
			}
		}
		return m
	}
	for why, spec := range map[string]RootSpec{
		"version 0":         {Expires: expires, Roles: roles},
		"no keys":           {Version: 1, Expires: expires, Roles: with(RoleRoot, Role{Threshold: 1})},
		"threshold 0":       {Version: 1, Expires: expires, Roles: with(RoleTargets, Role{Keys: role.Keys})},
		"threshold 2 of 1":  {Version: 1, Expires: expires, Roles: with(RoleTargets, Role{Keys: role.Keys, Threshold: 2})},
		"key listed twice":  {Version: 1, Expires: expires, Roles: with(RoleRoot, Role{Keys: append(role.Keys, role.Keys...), Threshold: 2})},
		"fifth role":        {Version: 1, Expires: expires, Roles: with("mirrors", role)},
		"standard member":   {Version: 1, Expires: expires, Roles: roles, Extra: map[string]json.RawMessage{"version": []byte("2")}},
		"extra not JSON":    {Version: 1, Expires: expires, Roles: roles, Extra: map[string]json.RawMessage{"x-a": []byte("{")}},
		"extra with number": {Version: 1, Expires: expires, Roles: roles, Extra: map[string]json.RawMessage{"x-a": []byte("1.5")}},
		"too much to sign":  {Version: 1, Expires: expires, Roles: roles, Extra: map[string]json.RawMessage{"x-a": []byte(`"` + strings.Repeat("a", MaxPayload) + `"`)}},
	} {
		if _, err := NewRoot(spec); err == nil {
			t.Errorf("%s: accepted", why)
		}
	}
}

func TestParseRootRefuses(t *testing.T) {
	good := signAll(t, newRoot(t, 1, 1, signers(1, 2)), nil, signers(1)).Bytes()
	id := keyIDOf(signer(1))
	tests := map[string]func(doc map[string]any){
		"no signed":         func(d map[string]any) { delete(d, "signed") },
		"no signatures":     func(d map[string]any) { delete(d, "signatures") },
		"other type":        func(d map[string]any) { signedOf(d)["_type"] = "targets" },
		"version 0":         func(d map[string]any) { signedOf(d)["version"] = 0 },
		"negative version":  func(d map[string]any) { signedOf(d)["version"] = -1 },
		"version as text":   func(d map[string]any) { signedOf(d)["version"] = "1" },
		"shadowed version":  func(d map[string]any) { signedOf(d)["ver\u017fion"] = 7 }, // a long s: encoding/json takes it for an s
		"shadowed signed":   func(d map[string]any) { d["\u017figned"] = map[string]any{"version": 9} },
		"specification 2":   func(d map[string]any) { signedOf(d)["spec_version"] = "2.0.0" },
		"no expiry":         func(d map[string]any) { delete(signedOf(d), "expires") },
		"expiry with zone":  func(d map[string]any) { signedOf(d)["expires"] = "2030-01-02T03:04:05+02:00" },
		"odd zone":          func(d map[string]any) { signedOf(d)["expires"] = "2030-01-02T03:04:05+00:00" },
		"fraction":          func(d map[string]any) { signedOf(d)["expires"] = "2030-01-02T03:04:05.5Z" },
		"no roles":          func(d map[string]any) { delete(signedOf(d), "roles") },
		"role missing":      func(d map[string]any) { delete(signedOf(d)["roles"].(map[string]any), "snapshot") },
		"role null":         func(d map[string]any) { signedOf(d)["roles"].(map[string]any)["root"] = nil },
		"threshold 0":       func(d map[string]any) { rootRole(d)["threshold"] = 0 },
		"threshold 3 of 2":  func(d map[string]any) { rootRole(d)["threshold"] = 3 },
		"key id twice":      func(d map[string]any) { rootRole(d)["keyids"] = []string{id, id} },
		"unknown key id":    func(d map[string]any) { rootRole(d)["keyids"] = []string{"abcd"} },
		"keys null":         func(d map[string]any) { signedOf(d)["keys"].(map[string]any)[id] = nil },
		"key scheme":        func(d map[string]any) { key(d, id)["scheme"] = "ecdsa-sha2-nistp256" },
		"upper-case key":    func(d map[string]any) { value(d, id)["public"] = strings.ToUpper(value(d, id)["public"].(string)) },
		"short key":         func(d map[string]any) { value(d, id)["public"] = "abcd" },
		"neutral point":     func(d map[string]any) { value(d, id)["public"] = "01" + strings.Repeat("0", 62) },
		"key id of another": func(d map[string]any) { value(d, id)["public"] = value(d, keyIDOf(signer(2)))["public"] },
		"signature twice":   func(d map[string]any) { d["signatures"] = append(d["signatures"].([]any), d["signatures"].([]any)...) },
		"signature no hex":  func(d map[string]any) { d["signatures"].([]any)[0].(map[string]any)["sig"] = "xyz" },
	}
	for why, change := range tests {
		if _, err := ParseRoot(edit(t, good, change)); ipc.CodeOf(err) != ipc.Corrupt {
			t.Errorf("%s: got %v", why, err)
		}
	}
	many := strings.Repeat(`{"keyid":"","sig":""},`, 20_000)
	if _, err := ParseRoot([]byte(`{"signatures":[` + many[:len(many)-1] + `],"signed":{}}`)); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("20,000 signatures: %v", err)
	}
	if _, err := ParseRoot(make([]byte, MaxRoot+1)); !errors.Is(err, ipc.TooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func key(doc map[string]any, id string) map[string]any {
	return signedOf(doc)["keys"].(map[string]any)[id].(map[string]any)
}

func value(doc map[string]any, id string) map[string]any {
	return key(doc, id)["keyval"].(map[string]any)
}

// TestSameKeyUnderTwoIDs: an additional member gives a key another id; it must not give its holder another vote.
func TestSameKeyUnderTwoIDs(t *testing.T) {
	data := edit(t, newRoot(t, 1, 2, signers(1, 2)).Bytes(), func(d map[string]any) {
		second := &metadata.Key{Type: "ed25519", Scheme: "ed25519", Value: tufKey(signer(1).PublicKey()).Value, UnrecognizedFields: map[string]any{"x-rstuf-key-name": "again"}}
		id, err := second.ID()
		if err != nil {
			t.Fatal(err)
		}
		signedOf(d)["keys"].(map[string]any)[id] = second
		rootRole(d)["keyids"] = []string{keyIDOf(signer(1)), id}
	})
	if _, err := ParseRoot(data); err == nil || !strings.Contains(err.Error(), "listed twice") {
		t.Errorf("got %v", err)
	}
}

// TestKeyWithName: a named key is admitted under either id.
func TestKeyWithName(t *testing.T) {
	plain := keyIDOf(signer(1))
	data := edit(t, newRoot(t, 1, 1, signers(1)).Bytes(), func(d map[string]any) { key(d, plain)["x-rstuf-key-name"] = "JH" })
	root, err := ParseRoot(data)
	if err != nil {
		t.Fatal(err)
	}
	root = signAll(t, root, nil, signers(1))
	if err := verifyFirst(root); err != nil {
		t.Error(err)
	}
	if err := judge([][]byte{root.Bytes()}); err != nil {
		t.Errorf("go-tuf: %v", err)
	}
}

// TestSigningKeepsBytes: whatever a document looks like, a signature changes nothing but the list of signatures.
func TestSigningKeepsBytes(t *testing.T) {
	signed := `{ "_type" : "root",  "x-odd":[ 1 ,{"b":"\u0041<","a":null}], ` + string(mustField(t, newRoot(t, 1, 1, signers(1, 2)).Bytes()))
	data := []byte(`{"x-outer": {"k" :1},"signed":` + signed + `, "signatures":[{"sig":"00","keyid":"zz","x-s":  true}]}`)
	root, err := ParseRoot(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(root.Bytes(), data) {
		t.Error("reading changed the bytes")
	}
	root = signAll(t, root, nil, signers(1, 2, 1))
	for _, part := range []string{signed, `{"k" :1}`, `{"sig":"00","keyid":"zz","x-s":  true}`} {
		if !bytes.Contains(root.Bytes(), []byte(part)) {
			t.Errorf("%s is gone from\n%s", part, root.Bytes())
		}
	}
	if n := len(root.Signatures()); n != 3 {
		t.Errorf("%d signatures, want 3", n)
	}
	if err := verifyFirst(root); err != nil {
		t.Error(err)
	}
	if err := judge([][]byte{root.Bytes()}); err != nil {
		t.Errorf("go-tuf: %v", err)
	}
}

// mustField returns the signed part of a document without its first brace and type.
func mustField(t *testing.T, data []byte) []byte {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	var signed map[string]json.RawMessage
	if err := json.Unmarshal(members["signed"], &signed); err != nil {
		t.Fatal(err)
	}
	delete(signed, "_type")
	out, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	return out[1:]
}

func FuzzParseRoot(f *testing.F) {
	first := newRoot(f, 1, 2, signers(1, 2, 3))
	f.Add(first.Bytes())
	f.Add(signAll(f, first, nil, signers(1, 2)).Bytes())
	f.Add(edit(f, first.Bytes(), func(d map[string]any) { signedOf(d)["ver\u017fion"] = 7 }))
	f.Add([]byte(`{"signed":{"_type":"root","keys":{"a":null},"roles":{"root":null}},"signatures":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := ParseRoot(data)
		if err != nil {
			return
		}
		theirs, err := new(metadata.Metadata[metadata.RootType]).FromBytes(data)
		if err != nil || theirs.Signed.Version != root.Version() {
			t.Fatalf("go-tuf reads it otherwise: %v", err)
		}
		if verifyFirst(root) == nil {
			if err := judge([][]byte{data}); err != nil {
				t.Fatalf("we accept, go-tuf does not: %v", err)
			}
		}
		more, err := addSignature(root, nil, Signature{KeyID: root.Role(RoleRoot).Keys[0].ID, Sig: make([]byte, 64)})
		if err == nil {
			t.Fatalf("accepted a signature of zeros: %s", more.Bytes())
		}
		rewritten, err := withSignature(root.Bytes(), Signature{KeyID: "new", Sig: []byte{1}})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseRoot(rewritten); err != nil || !bytes.Equal(again.Payload(), root.Payload()) {
			t.Fatalf("adding a signature changed what is signed: %v", err)
		}
	})
}

// TestJudgeAgrees: for any set of keys, thresholds and signers, over a rotation, we accept exactly what go-tuf accepts.
func TestJudgeAgrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(label string) []testSigner {
			return signers(rapid.SliceOfNDistinct(rapid.ByteRange(1, 6), 1, 4, rapid.ID).Draw(rt, label)...)
		}
		oldKeys, newKeys := draw("old"), draw("new")
		first := newRoot(t, 1, rapid.IntRange(1, len(oldKeys)).Draw(rt, "threshold"), oldKeys)
		second := newRoot(t, rapid.Int64Range(1, 3).Draw(rt, "version"), rapid.IntRange(1, len(newKeys)).Draw(rt, "second"), newKeys)
		first, second = signSome(t, rt, first, nil), signSome(t, rt, second, first)
		files := [][]byte{first.Bytes(), second.Bytes()}
		_, ours := VerifyChain(files)
		theirs := judge(files)
		if (ours == nil) != (theirs == nil) {
			rt.Fatalf("we say %v, go-tuf %v\n%s\n%s", ours, theirs, files[0], files[1])
		}
	})
}

// signSome has a drawn few of those who may sign do so, and some of them wrongly.
func signSome(t *testing.T, rt *rapid.T, root, previous *Root) *Root {
	for i := range byte(6) {
		s := signer(i + 1)
		key, ok := signingKey(s.PublicKey(), root, previous)
		if !ok {
			continue
		}
		data := root.Bytes()
		switch rapid.IntRange(0, 9).Draw(rt, "signs") {
		case 0:
			continue
		case 1:
			data, _ = withSignature(data, Signature{key.ID, make([]byte, 64)})
		case 2:
			data, _ = withSignature(data, Signature{key.ID, looseSignature(s, root.Payload())})
		default:
			sig, _ := s.Sign(t.Context(), root.Payload())
			data, _ = withSignature(data, Signature{key.ID, sig})
		}
		var err error
		if root, err = ParseRoot(data); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
