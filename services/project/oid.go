package project

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
)

// OID names a git object of a SHA-1 repository. The zero OID means that there is none: git writes it as 40 zeros.
type OID [sha1.Size]byte

// ParseOID reads the 40 hexadecimal digits that git prints. 64 digits are the id of a SHA-256 repository, which this
// package does not support.
func ParseOID(s string) (OID, error) {
	var o OID
	if len(s) == 64 {
		return OID{}, fmt.Errorf("object id %s is SHA-256, only SHA-1 repositories are supported", s)
	}
	if len(s) != hex.EncodedLen(len(o)) {
		return OID{}, fmt.Errorf("object id %q has %d characters, want 40", clip(s), len(s))
	}
	if _, err := hex.Decode(o[:], []byte(s)); err != nil {
		return OID{}, fmt.Errorf("object id %q is not hexadecimal", s)
	}
	return o, nil
}

// String returns 40 lower-case hexadecimal digits.
func (o OID) String() string { return hex.EncodeToString(o[:]) }

// IsZero reports whether o names no object.
func (o OID) IsZero() bool { return o == OID{} }

// MarshalText makes an OID appear in hexadecimal in JSON.
func (o OID) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (o *OID) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOID(string(text))
	return err
}

func oidFromBytes(b []byte) (OID, error) {
	if len(b) != sha1.Size {
		return OID{}, fmt.Errorf("object id has %d bytes, want %d", len(b), sha1.Size)
	}
	return OID(b), nil
}

// hashObject returns the id that git gives an object of that kind ("blob", "tree", "commit") and content.
func hashObject(kind string, content []byte) OID {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", kind, len(content))
	h.Write(content)
	return OID(h.Sum(nil))
}

// clip keeps a hostile value from filling an error message.
func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	return s[:80] + "..."
}
