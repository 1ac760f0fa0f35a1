package trust

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
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
	spec.Extra[NamesMember] = json.RawMessage(fmt.Sprintf(`{%q:"Eve"}`, keyIDOf(signer(3))))
	second, err := NewRoot(spec)
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.Join(DiffRoots(first, second), "\n")
	for _, want := range []string{"root version 2, after 1", "root gains the key z6Mk", `("Eve")`, "root loses the key z6Mk", "root takes 1 signatures, took 2", "expires 2030-01-03T03:04:05Z, was 2030-01-02", NamesMember + " is new"} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, lines)
		}
	}
	if strings.Contains(lines, "timestamp") || strings.Contains(lines, "x-test-note") {
		t.Errorf("what stays is told:\n%s", lines)
	}
	delete(spec.Extra, "x-test-note")
	spec.Extra[NamesMember] = json.RawMessage(`"no map"`)
	third, err := NewRoot(spec)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Join(DiffRoots(second, third), "\n"); !strings.Contains(lines, "x-test-note is gone") || !strings.Contains(lines, NamesMember+` is "no map"`) {
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
	two := make(2, map[string]Target{"stays": target(`{"a":1}`), "comes": target(""), "changes": target(`{"b":2}`)})
	if got := strings.Join(DiffTargets(one, two), "; "); got != "version 2, after 1; replaces changes, 3 bytes; adds comes, 3 bytes; removes goes; expires 2030-01-02T03:04:05Z" {
		t.Error(got)
	}
	if got := DiffTargets(nil, one); len(got) != 5 || got[0] != "version 1" {
		t.Error(got)
	}
}
