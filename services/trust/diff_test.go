package trust

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

func TestDiffRoots(t *testing.T) {
	first := newRoot(t, 1, 2, signers(1, 2))
	lines := strings.Join(DiffRoots(nil, first), "\n")
	for _, want := range []string{"root version 1, the first", "root takes 2 of 2 keys", "timestamp takes 1 of 2 keys", "expires 2030-01-02T03:04:05Z"} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, lines)
		}
	}
	spec := first.Spec()
	spec.Version, spec.Expires = 2, expires.Add(24*time.Hour)
	spec.Roles[RoleRoot] = roleOf(t, 1, signers(1, 3))
	spec.Names[keyIDOf(signer(3))] = "Eve"
	second, err := NewRoot(spec)
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.Join(DiffRoots(first, second), "\n")
	for _, want := range []string{"root version 2, after 1", "root gains the key z6Mk", `("Eve")`, "root loses the key z6Mk", "root takes 1 signatures, took 2", "expires 2030-01-03T03:04:05Z, was 2030-01-02"} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, lines)
		}
	}
	if strings.Contains(lines, "timestamp") || strings.Contains(lines, "x-test-note") || strings.Contains(lines, NamesMember) {
		t.Errorf("what stays is told:\n%s", lines)
	}
	delete(spec.Extra, "x-test-note")
	spec.Names, spec.Extra[NamesMember] = nil, json.RawMessage(`"no map"`)
	third, err := NewRoot(spec)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Join(DiffRoots(second, third), "\n"); !strings.Contains(lines, `"x-test-note" is gone`) || !strings.Contains(lines, `"x-lnk-names" is new: "no map"`) {
		t.Error(lines)
	}
}

func TestDiffTargets(t *testing.T) {
	make := func(version int64, targets map[string]Target) *Targets {
		doc, err := NewTargets(TargetsSpec{Version: version, Expires: expires, Targets: targets})
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	one := make(1, map[string]Target{"stays": target(`{"a": 1}`), "goes": target(""), "changes": target("")})
	two := make(2, map[string]Target{"stays": target(`{"a":1}`), "comes": target("{\"\u009b\":0}"), "changes": target(`{"b":2}`)})
	const file = "3 bytes, sha256 " + sum
	want := []string{
		"version 2, after 1", `replaces "changes", ` + file + `, custom {"b":2}; was ` + file, `adds "comes", ` + file + `, custom {"\u009b":0}`, `removes "goes"`,
		"expires 2030-01-02T03:04:05Z",
	}
	if got := DiffTargets(one, two); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := DiffTargets(nil, one); len(got) != 5 || got[0] != "version 1" {
		t.Error(got)
	}
}

// TestDiffDelegations tells in words what a role gains and loses.
func TestDiffDelegations(t *testing.T) {
	ann, ben, eve := peerOf(t, 1), peerOf(t, 2), peerOf(t, 3)
	one := &Delegation{Name: "dev", Peers: []peer.ID{ann, ben}, Threshold: 2, Paths: []string{"a/*", "b/*"}, Names: map[peer.ID]string{ann: "Ann"}}
	two := &Delegation{Name: "dev", Peers: []peer.ID{ann, eve}, Threshold: 1, Paths: []string{"b/*", "c/*"}, Terminating: true}
	online := &Delegation{Name: "dev", Paths: []string{"b/*", "c/*"}, Terminating: true}
	for _, test := range []struct {
		previous, next *Delegation
		want           []string
	}{
		{nil, one, []string{
			`dev may speak for "a/*"`, `dev may speak for "b/*"`, "dev gains the key " + string(ann) + ` ("Ann")`, "dev gains the key " + string(ben),
			"dev takes 2 signatures",
		}},
		{one, two, []string{
			`dev may speak for "c/*"`, `dev may not speak for "a/*" any more`, "dev gains the key " + string(eve), "dev loses the key " + string(ben),
			"dev takes 1 signatures, took 2", "clients look no further for its paths",
		}},
		{two, online, []string{"dev loses the key " + string(ann), "dev loses the key " + string(eve), "dev takes 0 signatures, took 1"}},
		{one, one, nil},
	} {
		if got := DiffDelegations(test.previous, test.next); !slices.Equal(got, test.want) {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func peerOf(t *testing.T, n byte) peer.ID {
	id, err := peer.FromPublicKey(signer(n).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestNames: a name travels with a key, in our member or as Repository Service for TUF writes it, into the next version.
func TestNames(t *testing.T) {
	first := newRoot(t, 1, 1, signers(1, 2))
	id := keyIDOf(signer(1))
	data := strings.Replace(string(first.Bytes()), `"keytype": "ed25519",`, `"keytype": "ed25519", "x-rstuf-key-name": "Ann",`, 2)
	named, err := ParseRoot([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	if got := named.Names(); got[id] != "Ann" {
		t.Fatalf("%v in %s", got, data)
	}
	spec := named.Spec()
	spec.Version = 2
	second, err := NewRoot(spec)
	if err != nil || second.Names()[id] != "Ann" {
		t.Errorf("%v, %v", second.Names(), err)
	}
	if lines := strings.Join(DiffRoots(named, second), "\n"); strings.Contains(lines, "Ann") {
		t.Errorf("a name that stays is told: %s", lines)
	}
	spec.Names[id] = "Bob"
	third, err := NewRoot(spec)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Join(DiffRoots(named, third), "\n"); !strings.Contains(lines, `is called "Bob", was "Ann"`) {
		t.Error(lines)
	}
	for _, s := range RootProcess(named, third).Signers() {
		if s.KeyID == id && s.Name != "Bob" {
			t.Errorf("%+v", s)
		}
	}
}
