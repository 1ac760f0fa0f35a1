package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/lnk-suite/lnk/services/trust"
)

// maxBits is the number of bits of a hash that TAP 15 lets a repository choose bins by.
const maxBits = 32

// targets is targets metadata, of the top-level role or one below it.
type targets struct {
	*document
	files map[string]trust.Target
	roles []delegation // in order of preference
	bins  *bins        // instead of roles
}

// delegation leaves some paths to a role.
type delegation struct {
	role
	by          *document // where it says so
	name        string
	patterns    []string // shell patterns whose * and ? stop at slashes
	prefixes    []string // or beginnings of the SHA-256 of a path, in hexadecimal
	terminating bool     // nobody else is asked for these paths
}

// bins leave every path to one of many roles, all with the same keys (TAP 15).
type bins struct {
	role
	trust.Bins
}

func parseTargets(data []byte) (*targets, error) {
	d, err := parse(data, trust.RoleTargets)
	if err != nil {
		return nil, err
	}
	t := &targets{document: d}
	if err := t.readFiles(); err != nil {
		return nil, err
	}
	var o object
	if found, err := d.signed.readOptional("delegations", &o); err != nil || !found {
		return t, err
	}
	if err := t.readDelegations(o); err != nil {
		return nil, fmt.Errorf("delegations: %w", err)
	}
	return t, nil
}

func (t *targets) readFiles() error {
	var files map[string]object
	if err := t.signed.read("targets", &files); err != nil {
		return err
	}
	t.files = make(map[string]trust.Target, len(files))
	for name, o := range files {
		var f trust.Target
		if err := errors.Join(o.read("length", &f.Length), o.read("hashes", &f.Hashes)); err != nil {
			return fmt.Errorf("target %.80q: %w", name, err)
		}
		if f.Length < 0 || len(f.Hashes) == 0 {
			return fmt.Errorf("target %.80q: length %d with %d hashes", name, f.Length, len(f.Hashes))
		}
		f.Custom = json.RawMessage(o["custom"])
		t.files[name] = f
	}
	return nil
}

func (t *targets) readDelegations(o object) error {
	all, err := readKeys(o, t.names())
	if err != nil {
		return err
	}
	var list []object
	var succinct object
	some, err := o.readOptional("roles", &list)
	if err != nil {
		return err
	}
	many, err := o.readOptional("succinct_roles", &succinct)
	if err != nil {
		return err
	}
	if some && many {
		return errors.New("both roles and succinct_roles")
	}
	if many {
		t.bins, err = readBins(succinct, all)
		return err
	}
	return t.readRoles(list, all)
}

func readBins(o object, all map[string]key) (*bins, error) {
	var b bins
	var err error
	if b.role, err = readRole(o, all); err != nil {
		return nil, err
	}
	if err := errors.Join(o.read("bit_length", &b.Bits), o.read("name_prefix", &b.Prefix)); err != nil {
		return nil, err
	}
	if b.Bits < 1 || b.Bits > maxBits || b.Prefix == "" {
		return nil, fmt.Errorf("hash bins of %d bits called %.80q", b.Bits, b.Prefix)
	}
	return &b, nil
}

func (t *targets) readRoles(list []object, all map[string]key) error {
	seen := make(map[string]bool, len(list))
	for _, o := range list {
		d, err := readDelegation(o, all)
		if err != nil {
			return fmt.Errorf("role %.80q: %w", d.name, err)
		}
		if seen[d.name] || d.name == "" || slices.Contains(topLevelRoles, d.name) {
			return fmt.Errorf("role %.80q is empty, is given twice or has the name of a top-level role", d.name)
		}
		seen[d.name], d.by = true, t.document
		t.roles = append(t.roles, d)
	}
	return nil
}

func readDelegation(o object, all map[string]key) (delegation, error) {
	var d delegation
	if err := o.read("name", &d.name); err != nil {
		return d, err
	}
	var err error
	if d.role, err = readRole(o, all); err != nil {
		return d, err
	}
	if _, err := o.readOptional("terminating", &d.terminating); err != nil {
		return d, err
	}
	patterns, err := o.readOptional("paths", &d.patterns)
	if err != nil {
		return d, err
	}
	prefixes, err := o.readOptional("path_hash_prefixes", &d.prefixes)
	if err == nil && patterns == prefixes {
		err = errors.New("it needs either paths or path_hash_prefixes")
	}
	return d, err
}

// covers reports whether a target is left to the role.
func (d delegation) covers(target string) bool {
	sum := sha256.Sum256([]byte(target))
	name := hex.EncodeToString(sum[:])
	return slices.ContainsFunc(d.prefixes, func(prefix string) bool { return strings.HasPrefix(name, strings.ToLower(prefix)) }) ||
		slices.ContainsFunc(d.patterns, func(pattern string) bool {
			ok, err := path.Match(pattern, target)
			return err == nil && ok && strings.Count(pattern, "/") == strings.Count(target, "/")
		})
}

// asked returns the roles to ask for a target, in order. A terminating one is the last, and last reports that then.
func (t *targets) asked(target string) (roles []delegation, last bool) {
	if t.bins != nil {
		return []delegation{t.bin(t.bins.For(target))}, true
	}
	for _, d := range t.roles {
		if d.covers(target) {
			roles = append(roles, d)
			if d.terminating {
				return roles, true
			}
		}
	}
	return roles, false
}

// bin returns bin number i.
func (t *targets) bin(i int) delegation {
	return delegation{role: t.bins.role, by: t.document, name: t.bins.Name(i)}
}
