package trust

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/lnk-suite/lnk/services/keys"
)

// The four roles that every root document appoints.
const (
	RoleRoot      = metadata.ROOT
	RoleTargets   = metadata.TARGETS
	RoleSnapshot  = metadata.SNAPSHOT
	RoleTimestamp = metadata.TIMESTAMP
)

var topLevelRoles = []string{RoleRoot, RoleSnapshot, RoleTargets, RoleTimestamp}

// Role says whose signatures count and how many of them it takes.
type Role struct {
	Keys      []Key
	Threshold int
}

// check refuses a role that nobody could ever fulfil, or that seems to have more members than it has.
func (r Role) check() error {
	seen := make(map[string]bool, len(r.Keys))
	for _, k := range r.Keys {
		if seen[string(k.Public)] {
			return fmt.Errorf("key %x is listed twice", []byte(k.Public))
		}
		seen[string(k.Public)] = true
	}
	if r.Threshold < 1 || r.Threshold > len(r.Keys) {
		return fmt.Errorf("threshold %d with %d keys", r.Threshold, len(r.Keys))
	}
	return nil
}

// Index returns where the role lists a key, whatever id it goes by; -1 if it does not.
func (r Role) Index(key Key) int {
	return slices.IndexFunc(r.Keys, func(k Key) bool { return bytes.Equal(k.Public, key.Public) })
}

// Signature is one signature of a document. KeyID refers to a key of the document or of the one before it.
type Signature struct {
	KeyID string
	Sig   []byte
}

// ErrStrict is in the chain of the error about a signature that ZIP-215 accepts and standard TUF clients do not.
// Counting it would publish a document on which those clients are stuck for ever.
var ErrStrict = errors.New("valid under ZIP-215 but not by standard TUF clients")

// verify checks one signature under both rules.
func (k Key) verify(payload, sig []byte) error {
	if !keys.Verify(k.Public, payload, sig) {
		return fmt.Errorf("signature of key %s does not verify", k.ID)
	}
	if !keys.VerifyStrict(k.Public, payload, sig) {
		return fmt.Errorf("signature of key %s: %w", k.ID, ErrStrict)
	}
	return nil
}

// Progress tells how far the signing of a document is, for one role.
type Progress struct {
	Threshold int
	Signed    []Key   // valid signatures, in the order of the role's keys
	Missing   []Key   // the others
	Faults    []error // why signatures by keys of the role do not count
}

// Complete reports whether the threshold is met.
func (p Progress) Complete() bool { return len(p.Signed) >= p.Threshold }

func (p Progress) err() error {
	if p.Complete() {
		return nil
	}
	return errors.Join(append([]error{fmt.Errorf("%d of %d signatures needed", len(p.Signed), p.Threshold)}, p.Faults...)...)
}

// progress counts signatures. Keys of a role are distinct points (check, and keys.CheckPublicKey on admission), so
// counting keys counts holders.
func (r Role) progress(payload []byte, signatures []Signature, good verified) Progress {
	p := Progress{Threshold: r.Threshold}
	p.Signed, p.Missing, p.Faults = Tally(r.Keys, func(k Key) string { return k.ID }, signatures, func(k Key, s Signature) error {
		if good.holds(s) {
			return nil
		}
		return k.verify(payload, s.Sig)
	})
	return p
}

func readRole(name string, r *metadata.Role, all map[string]Key) (Role, error) {
	if r == nil {
		return Role{}, fmt.Errorf("role %s is missing", name)
	}
	role := Role{Threshold: r.Threshold}
	for _, id := range r.KeyIDs {
		k, ok := all[id]
		if !ok {
			return Role{}, fmt.Errorf("role %s: key %.64s is not in the document", name, id)
		}
		role.Keys = append(role.Keys, k)
	}
	if err := role.check(); err != nil {
		return Role{}, fmt.Errorf("role %s: %w", name, err)
	}
	return role, nil
}

func readSignatures(in []metadata.Signature) ([]Signature, error) {
	out := make([]Signature, 0, len(in))
	for _, s := range in {
		if slices.ContainsFunc(out, func(o Signature) bool { return o.KeyID == s.KeyID }) {
			return nil, fmt.Errorf("key %.64s has two signatures", s.KeyID)
		}
		out = append(out, Signature{KeyID: s.KeyID, Sig: s.Signature})
	}
	return out, nil
}
