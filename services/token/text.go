package token

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// ID names a token without giving it away: 16 hexadecimal digits.
type ID string

// A token's text is prefix, id, "_" and the secret in hexadecimal, 85 characters in all. It is a token68 (RFC 7235), so that
// it can stand behind Bearer as it is.
const (
	prefix     = "lnk_"
	idSize     = 8  // bytes
	secretSize = 32 // bytes
	textSize   = len(prefix) + 2*idSize + 1 + 2*secretSize
)

// credential is a token's text, taken apart.
type credential struct {
	id     ID
	secret [secretSize]byte
}

func newCredential() (c credential) {
	var id [idSize]byte
	_, _ = rand.Read(id[:]) // it never fails
	_, _ = rand.Read(c.secret[:])
	c.id = ID(hex.EncodeToString(id[:]))
	return c
}

func (c credential) text() string {
	return prefix + string(c.id) + "_" + hex.EncodeToString(c.secret[:])
}

// hash is what is stored of the secret. It is random, so that no guess is cheaper for a fast hash.
func (c credential) hash() [sha256.Size]byte { return sha256.Sum256(c.secret[:]) }

// parse takes a token's text apart. There is one text for each token: no spaces, no capitals.
func parse(text []byte) (c credential, ok bool) {
	rest, ok := bytes.CutPrefix(text, []byte(prefix))
	if !ok || len(text) != textSize || rest[2*idSize] != '_' {
		return credential{}, false
	}
	c.id = ID(rest[:2*idSize])
	digits := string(rest[2*idSize+1:])
	if !c.id.valid() || !isHex(digits) {
		return credential{}, false
	}
	_, _ = hex.Decode(c.secret[:], []byte(digits))
	return c, true
}

// valid reports whether id can be a token's, and so a file's name.
func (id ID) valid() bool { return len(id) == 2*idSize && isHex(string(id)) }

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
