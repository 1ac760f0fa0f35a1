package client

import (
	"errors"
	"fmt"

	"github.com/lnk-suite/lnk/services/trust"
)

// role says whose signatures count and how many of them it takes.
type role struct {
	keys      []key
	threshold int
}

// readKeys reads the keys that o lists; names are those that their holders have beside that.
func readKeys(o object, names map[string]string) (map[string]key, error) {
	var list map[string]object
	if err := o.read("keys", &list); err != nil {
		return nil, err
	}
	if len(list) > maxEntries {
		return nil, fmt.Errorf("%d keys, the limit is %d", len(list), maxEntries)
	}
	all := make(map[string]key, len(list))
	for id, one := range list {
		k := readKey(id, one)
		if name := names[id]; name != "" {
			k.name = name
		}
		all[id] = k
	}
	return all, nil
}

// readRole reads the members of a role. A threshold above the number of keys is one that nobody can meet.
func readRole(o object, all map[string]key) (role, error) {
	var r role
	var ids []string
	if err := errors.Join(o.read("keyids", &ids), o.read("threshold", &r.threshold)); err != nil {
		return r, err
	}
	if r.threshold < 1 || len(ids) > maxEntries {
		return r, fmt.Errorf("threshold %d of %d keys, the limit is %d", r.threshold, len(ids), maxEntries)
	}
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			return r, fmt.Errorf("key %.64q is listed twice", id)
		}
		seen[id] = true
		k, ok := all[id]
		if !ok {
			k = unusable(id, errors.New("the key is not in the document"))
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

// signers returns the keys whose signatures count: one for each holder, however many names they have.
func (r role) signers(d *document) (signers []key, faults []error) {
	signed, _, faults := trust.Tally(r.keys, func(k key) string { return k.id }, d.signatures, func(k key, s trust.Signature) error {
		if err := k.verify(d.payload, s.Sig); err != nil {
			return fmt.Errorf("key %s: %w", plain(k.id), err)
		}
		return nil
	})
	seen := make(map[string]bool, len(signed))
	for _, k := range signed {
		if !seen[k.holder] {
			seen[k.holder] = true
			signers = append(signers, k)
		}
	}
	return signers, faults
}

// verify says whether enough of the role have signed the document.
func (r role) verify(d *document) error {
	signers, faults := r.signers(d)
	if len(signers) >= r.threshold {
		return nil
	}
	return errors.Join(append([]error{fmt.Errorf("version %d has %d of %d signatures needed", d.version, len(signers), r.threshold)}, faults...)...)
}
