package project

import (
	"slices"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

func TestChanges(t *testing.T) {
	id := newTestIdentity(t, 1, signer(1))
	spec := id.Spec()
	spec.Name, spec.DefaultBranch, spec.Threshold = "other", "trunk", 2
	spec.Delegates, spec.Names = ids(signer(1), signer(2)), map[peer.ID]string{signer(2).id(): "ben"}
	want := []string{
		`version 2 of the identity of "demo" (` + string(id.URN) + `), after 1`,
		"the quorum gains the key " + string(signer(2).id()) + ` ("ben")`,
		"the quorum takes 2 signatures, took 1",
		`the name is "other", was "demo"`,
		`the default branch is "trunk", was "main"`,
	}
	next := draft(t, id, spec)
	if got := id.Changes(next); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := id.Changes(draft(t, id, id.Spec())); len(got) != 1 {
		t.Errorf("nothing changes: %q", got)
	}
	if got := (Identity{}).Changes(id.Newest()); !slices.Contains(got, "root takes 1 of 1 keys") {
		t.Errorf("the first version: %q", got)
	}
}

// TestChangesShowsAll: whatever a document has besides what delegates usually change must not be signed unseen.
func TestChangesShowsAll(t *testing.T) {
	id := newTestIdentity(t, 1, signer(1))
	key, err := trust.NewKey(signer(9).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*trust.RootSpec){
		"snapshot gains the key": func(s *trust.RootSpec) {
			s.Roles[trust.RoleSnapshot] = trust.Role{Keys: []trust.Key{key}, Threshold: 1}
		},
		"targets takes 2": func(s *trust.RootSpec) {
			s.Roles[trust.RoleTargets] = trust.Role{Keys: append(s.Roles[trust.RoleTargets].Keys, key), Threshold: 2}
		},
		"\"x-more\" is new": func(s *trust.RootSpec) { s.Extra["x-more"] = []byte("1") },
		`"later":2`: func(s *trust.RootSpec) {
			s.Extra[extension] = []byte(`{"default_branch":"main","description":"","later":2,"name":"demo"}`)
		},
		"written in another way":  func(s *trust.RootSpec) { s.Names["nobody"] = "eve" },
		`called "eve", was ""`:    func(s *trust.RootSpec) { s.Names[s.Roles[trust.RoleRoot].Keys[0].ID] = "eve" },
		`"x-lnk-names" is new`:    func(s *trust.RootSpec) { s.Extra[trust.NamesMember] = []byte(`[1]`) },
		"written in another way ": func(s *trust.RootSpec) { s.Snapshot = false },
		"the expiry is":           func(s *trust.RootSpec) { s.Expires = s.Expires.AddDate(1, 0, 0) },
		"root version 3, after 1": func(s *trust.RootSpec) { s.Version = 3 },
	} {
		spec := id.Newest().Spec()
		spec.Version++
		change(&spec)
		next, err := trust.NewRoot(spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(strings.Join(id.Changes(next), "\n"), ": 2", ":2"); !strings.Contains(got, what) {
			t.Errorf("%s is not in\n%s", what, got)
		}
	}
}
