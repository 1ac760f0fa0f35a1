package project

import (
	"maps"
	"slices"
	"strings"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// SignedRefs is what a peer says its refs are. Each names the one before it, so that the chain tells every step that
// the peer ever published.
type SignedRefs struct {
	URN      URN
	Peer     peer.ID
	Seq      uint64         // 1 for the first, then one more each time
	Parent   OID            // commit that holds the signed refs before these; zero for the first
	Refs     map[string]OID // relative to the peer's namespace: "refs/heads/main"
	Identity OID            // blob of the identity document that the peer acted under
}

// Next returns the signed refs that follow s, whose commit is tip, and hold refs. The map is not copied.
func (s SignedRefs) Next(tip OID, refs map[string]OID, identity OID) SignedRefs {
	return SignedRefs{URN: s.URN, Peer: s.Peer, Seq: s.Seq + 1, Parent: tip, Refs: refs, Identity: identity}
}

// Change is one ref that differs between two sets. Old is zero for a new ref, New for a deleted one.
type Change struct {
	Ref      string
	Old, New OID
}

// Diff returns what changed from old to new, sorted by ref.
func Diff(old, new map[string]OID) []Change {
	var changes []Change
	for ref, oid := range new {
		if old[ref] != oid {
			changes = append(changes, Change{ref, old[ref], oid})
		}
	}
	for ref, oid := range old {
		if _, kept := new[ref]; !kept {
			changes = append(changes, Change{Ref: ref, Old: oid})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Ref, b.Ref) })
	return changes
}

// sortedRefs returns the names in refs in order.
func sortedRefs(refs map[string]OID) []string { return slices.Sorted(maps.Keys(refs)) }
