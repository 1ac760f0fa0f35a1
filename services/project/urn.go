package project

import (
	"crypto/sha1"
	"fmt"
	"strings"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

const urnPrefix = "rad:"

// URN is a project's name: "rad:" and the base58btc multibase ("z...") of the git blob id of the first version of its
// identity document. A value that came from ParseURN or NewURN is the only spelling of that project, so URNs may be
// compared with == and used in paths.
type URN string

// NewURN returns the URN of the project whose first identity document is the blob id.
func NewURN(id OID) URN { return URN(urnPrefix + peer.Multibase(id[:])) }

// ParseURN reads a URN, with or without "rad:". It decodes and encodes again, so what it returns holds nothing but the
// alphabet of base58; a project has one spelling. The older notations of radicle-link (h..., rad:git:h...)
// are refused.
func ParseURN(s string) (URN, error) {
	id := strings.TrimPrefix(s, urnPrefix)
	b, err := peer.ParseMultibase(id)
	if err != nil {
		return "", fmt.Errorf("%q is not a project URN: %w", clip(s), err)
	}
	if len(b) != sha1.Size {
		return "", fmt.Errorf("%q is not a project URN: it encodes %d bytes, want %d", clip(s), len(b), sha1.Size)
	}
	return NewURN(OID(b)), nil
}

// ID returns the blob id that the URN encodes; the zero OID if u did not come from ParseURN or NewURN.
func (u URN) ID() OID {
	b, err := peer.ParseMultibase(u.RID())
	if err != nil || len(b) != sha1.Size {
		return OID{}
	}
	return OID(b)
}

// Bytes returns the 20 bytes that the URN encodes: the namespace of an updated event.
func (u URN) Bytes() []byte {
	id := u.ID()
	return id[:]
}

// RID returns the URN without "rad:", as it is used in file names and URLs.
func (u URN) RID() string { return strings.TrimPrefix(string(u), urnPrefix) }
