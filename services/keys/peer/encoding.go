package peer

import (
	"encoding/base32"
	"fmt"

	"github.com/mr-tron/base58"
)

// maxMultibase bounds what ParseMultibase decodes, in characters: base58 takes quadratic time, and no name of ours is longer.
const maxMultibase = 256

// Multibase returns "z" and the base58btc encoding of b.
func Multibase(b []byte) string { return "z" + base58.Encode(b) }

// ParseMultibase is the inverse of Multibase. It refuses other bases, texts over 256 characters and second spellings.
func ParseMultibase(s string) ([]byte, error) {
	if s == "" || s[0] != 'z' {
		return nil, fmt.Errorf("%q is not in base58btc multibase (starts with z)", clip(s))
	}
	if len(s) > maxMultibase {
		return nil, fmt.Errorf("%q is longer than %d characters", clip(s), maxMultibase)
	}
	if len(s) == 1 {
		return []byte{}, nil
	}
	b, err := base58.Decode(s[1:])
	if err != nil {
		return nil, fmt.Errorf("%q is not in base58btc: %w", clip(s), err)
	}
	if Multibase(b) != s {
		return nil, fmt.Errorf("%q is not in canonical base58btc", clip(s))
	}
	return b, nil
}

// zbase32 is the alphabet of radicle-link's old notation, without padding.
var zbase32 = base32.NewEncoding("ybndrfg8ejkmcpqxot1uwisza345h769").WithPadding(base32.NoPadding)

// linkLength is the length of an old peer id: "h" and 53 digits for a version byte and the key.
const linkLength = 54

// linkVersion is the only version of the old notation that ever was.
const linkVersion = 0

// Link returns radicle-link's old notation: "h" and z-base32 of a zero byte and the key.
func (id ID) Link() string {
	return "h" + zbase32.EncodeToString(append([]byte{linkVersion}, id.PublicKey()...))
}

func parseLink(s string) (ID, error) {
	b, err := zbase32.DecodeString(s[1:])
	if err != nil || len(b) != 1+keySize || b[0] != linkVersion {
		return "", fmt.Errorf("%w: %q is not in radicle-link's old notation", ErrInvalid, s)
	}
	id, err := FromPublicKey(b[1:])
	if err != nil {
		return "", err
	}
	if id.Link() != s {
		return "", fmt.Errorf("%w: %q has stray bits at its end", ErrInvalid, s)
	}
	return id, nil
}
