package client

import (
	"fmt"

	"github.com/lnk-suite/lnk/services/trust"
)

// root is a root document: who may sign the others.
type root struct {
	*document
	roles      map[string]role // the four top-level roles
	consistent bool            // file names carry versions and hashes
}

var topLevelRoles = []string{trust.RoleRoot, trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets}

func parseRoot(data []byte) (*root, error) {
	d, err := parse(data, trust.RoleRoot)
	if err != nil {
		return nil, err
	}
	r := &root{document: d, roles: map[string]role{}}
	if _, err := d.signed.readOptional("consistent_snapshot", &r.consistent); err != nil {
		return nil, err
	}
	all, err := readKeys(d.signed, d.names())
	if err != nil {
		return nil, err
	}
	var roles map[string]object
	if err := d.signed.read("roles", &roles); err != nil {
		return nil, err
	}
	for _, name := range topLevelRoles {
		if r.roles[name], err = readRole(roles[name], all); err != nil {
			return nil, fmt.Errorf("role %s: %w", name, err)
		}
	}
	return r, nil
}

// parseFirst reads the root document that everything begins with. It must be signed as it says itself.
func parseFirst(data []byte) (*root, error) {
	r, err := parseRoot(data)
	if err != nil {
		return nil, err
	}
	return r, r.roles[trust.RoleRoot].verify(r.document)
}

// next reads the version that follows r: signed by a threshold of the root keys of both (5.3.4), and numbered one higher (5.3.5).
func (r *root) next(data []byte) (*root, error) {
	n, err := parseRoot(data)
	if err != nil {
		return nil, err
	}
	if n.version != r.version+1 {
		return nil, fmt.Errorf("it has version %d", n.version)
	}
	if err := r.roles[trust.RoleRoot].verify(n.document); err != nil {
		return nil, fmt.Errorf("by the keys of version %d: %w", r.version, err)
	}
	if err := n.roles[trust.RoleRoot].verify(n.document); err != nil {
		return nil, fmt.Errorf("by its own keys: %w", err)
	}
	return n, nil
}
