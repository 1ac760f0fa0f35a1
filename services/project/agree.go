package project

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// maxSubsets bounds the work of Agreed: so many sets of delegates are asked for their common history.
const maxSubsets = 1000

// Agreed returns the commit that refs/heads/<default branch> should be at: the newest that is an ancestor of, or the
// same as, the tips of at least a threshold of delegates. signed holds the signed refs of delegates; those of others are
// ignored, and a delegate without the branch has no say. The zero OID means that too few have a common history. If
// delegates have diverged so that several commits qualify and none descends from the other, nobody has agreed on
// anything: that is ipc.Conflict, and the ref should stay where it is. Git is asked only if tips differ.
func (r Repository) Agreed(ctx context.Context, id Identity, signed map[peer.ID]SignedRefs) (OID, error) {
	votes := make(map[OID]int)
	for _, d := range id.Delegates {
		if tip, ok := signed[d].Refs["refs/heads/"+id.DefaultBranch]; ok {
			votes[tip]++
		}
	}
	candidates, err := r.candidates(ctx, votes, id.Threshold)
	if err != nil {
		return OID{}, err
	}
	if len(candidates) > 1 {
		if candidates, err = r.independent(ctx, candidates); err != nil {
			return OID{}, err
		}
	}
	switch len(candidates) {
	case 0:
		return OID{}, nil
	case 1:
		return candidates[0], nil
	}
	return OID{}, ipc.Errorf(ipc.Conflict, "delegates of project %s have diverged on %s: %v", r.URN, id.DefaultBranch, candidates)
}

// candidates returns commits among which is every newest one that a threshold of votes stands behind.
func (r Repository) candidates(ctx context.Context, votes map[OID]int, threshold int) ([]OID, error) {
	tips := slices.SortedFunc(maps.Keys(votes), func(a, b OID) int { return slices.Compare(a[:], b[:]) })
	found := make(map[OID]bool)
	asked := 0
	var extend func(set []OID, count int, rest []OID) error
	extend = func(set []OID, count int, rest []OID) error {
		if count >= threshold {
			if asked++; asked > maxSubsets {
				return ipc.Errorf(ipc.ResourceExhausted, "project %s: too many delegates have tips of their own", r.URN)
			}
			return r.addCommon(ctx, set, found)
		}
		for i, tip := range rest {
			if err := extend(append(set[:len(set):len(set)], tip), count+votes[tip], rest[i+1:]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := extend(nil, 0, tips); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(found)), nil
}

// addCommon adds the newest common ancestors of a set of commits.
func (r Repository) addCommon(ctx context.Context, set []OID, found map[OID]bool) error {
	if len(set) == 1 {
		found[set[0]] = true
		return nil
	}
	common, err := r.mergeBase(ctx, "--octopus", set)
	for _, oid := range common {
		found[oid] = true
	}
	return err
}

// independent leaves those commits that are no ancestor of another.
func (r Repository) independent(ctx context.Context, set []OID) ([]OID, error) {
	return r.mergeBase(ctx, "--independent", set)
}

func (r Repository) mergeBase(ctx context.Context, mode string, set []OID) ([]OID, error) {
	args := []string{"merge-base", mode}
	if mode == "--octopus" {
		args = append(args, "--all")
	}
	for _, oid := range set {
		args = append(args, oid.String())
	}
	out, err := git(ctx, r.Dir, args...)
	if err != nil && !(exitedWith(err, 1) && out == "") { // 1 says that there is none
		return nil, fmt.Errorf("cannot compare the tips of project %s: %w", r.URN, err)
	}
	var oids []OID
	for line := range strings.FieldsSeq(out) {
		oid, err := ParseOID(line)
		if err != nil {
			return nil, err
		}
		oids = append(oids, oid)
	}
	return oids, nil
}
