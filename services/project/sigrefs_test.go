package project

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	a, b := OID{1}, OID{2}
	old := map[string]OID{"refs/heads/gone": a, "refs/heads/main": a, "refs/tags/same": b}
	new := map[string]OID{"refs/heads/a": b, "refs/heads/main": b, "refs/tags/same": b}
	want := []Change{
		{"refs/heads/a", OID{}, b},
		{"refs/heads/gone", a, OID{}},
		{"refs/heads/main", a, b},
	}
	if got := Diff(old, new); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Diff(new, new); got != nil {
		t.Errorf("no change gave %v", got)
	}
	if got := Diff(nil, nil); got != nil {
		t.Errorf("nothing gave %v", got)
	}
}

// TestDiffApplies: applying the changes to the old set gives the new one, in order and without a step too many.
func TestDiffApplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, new := genRefs.Draw(t, "old"), genRefs.Draw(t, "new")
		applied := maps.Clone(old)
		last := ""
		for _, c := range Diff(old, new) {
			if c.Ref <= last || c.Old == c.New || c.Old != applied[c.Ref] {
				t.Fatalf("change %v after %q", c, last)
			}
			last = c.Ref
			applied[c.Ref] = c.New
			if c.New.IsZero() {
				delete(applied, c.Ref)
			}
		}
		if !maps.Equal(applied, new) {
			t.Fatalf("got %v, want %v", applied, new)
		}
	})
}

var genRefName = rapid.StringMatching(`refs/(heads|tags|notes|cobs)/[a-c]{1,3}(/[a-c]{1,2})?`)

var genRefs = rapid.MapOf(genRefName, genOID.Filter(func(o OID) bool { return !o.IsZero() }))

func TestCheckRef(t *testing.T) {
	for _, ref := range []string{"refs/heads/main", "refs/tags/v1.0", "refs/notes/commits", "refs/cobs/xyz/1", "refs/heads/ü", "refs/heads/a@b"} {
		if err := CheckRef(ref); err != nil {
			t.Errorf("%q: %v", ref, err)
		}
	}
	for _, ref := range []string{
		"", "main", "HEAD", "refs/heads", "refs/heads/", "refs/rad/id", "refs/rad/sigrefs", "refs/namespaces/x/refs/heads/main", "refs/remotes/o/main",
		"refs/heads//a", "refs/heads/a/", "refs/heads/.a", "refs/heads/a.lock", "refs/heads/a.lock/b", "refs/heads/a..b", "refs/heads/../../rad/id",
		"refs/heads/a b", "refs/heads/a\n", "refs/heads/a\x00b", "refs/heads/a~1", "refs/heads/a^", "refs/heads/a:b", "refs/heads/*", "refs/heads/a?",
		"refs/heads/[a", `refs/heads/a\b`, "refs/heads/a.", "refs/heads/a@{b", "refs/heads/\x7f", "refs/heads/\xff",
	} {
		if CheckRef(ref) == nil {
			t.Errorf("%q passed", ref)
		}
	}
}
