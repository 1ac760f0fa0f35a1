package project

import (
	"errors"
	"fmt"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// The history:  a - b - c - d
//
//	\ e - f      (e on b)
//	 g           (unrelated)
func TestAgreed(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	commits := map[string]OID{}
	for _, c := range [][2]string{{"a", ""}, {"b", "a"}, {"c", "b"}, {"d", "c"}, {"e", "b"}, {"f", "e"}, {"g", ""}} {
		if c[1] == "" {
			commits[c[0]] = f.commit(c[0])
		} else {
			commits[c[0]] = f.commit(c[0], commits[c[1]])
		}
	}
	commits["m"] = f.commit("m", commits["d"], commits["f"])
	commits["n"] = f.commit("n", commits["f"], commits["d"])
	tests := []struct {
		tips      string // the delegates' tips, "-" for none
		threshold int
		want      string // "" for none, "!" for diverged
	}{
		{"d", 1, "d"}, {"-", 1, ""}, {"dd", 2, "d"}, {"d-", 2, ""}, {"d-", 1, "d"},
		{"bd", 2, "b"}, {"bd", 1, "d"}, {"db", 1, "d"}, {"df", 2, "b"}, {"df", 1, "!"}, {"dg", 2, ""}, {"dg", 1, "!"},
		{"abd", 2, "b"}, {"abd", 3, "a"}, {"abd", 1, "d"}, {"ddf", 2, "d"}, {"dff", 2, "f"}, {"cdf", 2, "c"}, {"cdf", 3, "b"},
		{"dfg", 2, "b"}, {"dfg", 3, ""}, {"ddff", 2, "!"}, {"ddff", 3, "b"}, {"mdf", 2, "!"}, {"mdd", 2, "d"}, {"mm-", 2, "m"},
		{"mn", 2, "!"}, {"abcdefg", 4, "b"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%d of %s", test.threshold, test.tips), func(t *testing.T) {
			id := Identity{URN: f.URN, DefaultBranch: "main", Threshold: test.threshold}
			signed := map[peer.ID]SignedRefs{signer(99).id(): {Refs: map[string]OID{"refs/heads/main": commits["g"]}}}
			for i, name := range test.tips {
				who := signer(byte(i + 1)).id()
				id.Delegates = append(id.Delegates, who)
				if oid, ok := commits[string(name)]; ok {
					signed[who] = SignedRefs{Refs: map[string]OID{"refs/heads/main": oid}}
				}
			}
			got, err := f.Agreed(t.Context(), id, signed)
			if diverged := errors.Is(err, ipc.Conflict); diverged != (test.want == "!") || err != nil && !diverged {
				t.Fatalf("%s, %v", got, err)
			}
			if test.want != "!" && got != commits[test.want] {
				t.Errorf("got %s, want %s (%s)", got, commits[test.want], test.want)
			}
		})
	}
}

// TestAgreedAlone: one delegate needs no git, and so no repository.
func TestAgreedAlone(t *testing.T) {
	id := newTestIdentity(t, 1, signer(1))
	signed := map[peer.ID]SignedRefs{signer(1).id(): {Refs: map[string]OID{"refs/heads/main": {1}}}}
	if got, err := (Repository{URN: id.URN, Dir: "/nonexistent"}).Agreed(t.Context(), id, signed); err != nil || got != (OID{1}) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestAgreedMissingCommit(t *testing.T) {
	f := newFixture(t, 2, signer(1), signer(2))
	signed := map[peer.ID]SignedRefs{}
	for i := range byte(2) {
		signed[signer(i+1).id()] = SignedRefs{Refs: map[string]OID{"refs/heads/main": {i + 1}}}
	}
	if got, err := f.Agreed(t.Context(), f.identity, signed); err == nil || errors.Is(err, ipc.Conflict) {
		t.Errorf("%s, %v", got, err)
	}
}
