package peer

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// keySize is the length of an Ed25519 public key, RFC 8032 section 5.1.5.
const keySize = 32

// idLength is the length of every peer id in characters: base58 of 34 bytes that start with 0xed01 always takes 47.
const idLength = 48

// codec is the multicodec prefix of an Ed25519 public key, an unsigned varint of 0xed (did:key method, section 3.1.3).
var codec = [2]byte{0xed, 0x01}

// ErrInvalid is in the chain of every error about a text that is not a peer id in any notation.
var ErrInvalid = errors.New("not a peer id")

// ID is a device key in did:key multibase form: "z" and base58btc of 0xed01 and the 32-byte key, always 48 characters
// that start with "z6Mk". Values from outside go through Parse; equal keys have equal IDs.
type ID string

// FromPublicKey returns the id of an Ed25519 public key. It fails when pub is not 32 bytes long.
func FromPublicKey(pub []byte) (ID, error) {
	if len(pub) != keySize {
		return "", fmt.Errorf("%w: an Ed25519 public key has %d bytes, this has %d", ErrInvalid, keySize, len(pub))
	}
	return ID(Multibase(append(codec[:], pub...))), nil
}

// Parse reads any notation of a peer id: z6Mk…, did:key:z6Mk…, the old radicle-link form (54 characters from "h"), or an
// OpenSSH public key line "ssh-ed25519 AAAA… comment". Each key has one spelling per notation, others are refused.
func Parse(s string) (ID, error) {
	switch {
	case strings.HasPrefix(s, sshType+" "):
		return parseSSH(s)
	case len(s) == linkLength && s[0] == 'h':
		return parseLink(s)
	}
	return parseMultibase(strings.TrimPrefix(s, didPrefix))
}

func parseMultibase(s string) (ID, error) {
	if len(s) != idLength {
		return "", fmt.Errorf("%w: %q (expected z6Mk…, %d characters)", ErrInvalid, clip(s), idLength)
	}
	b, err := ParseMultibase(s)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(b) != len(codec)+keySize || [2]byte(b) != codec {
		return "", fmt.Errorf("%w: %q names no Ed25519 key", ErrInvalid, s)
	}
	return ID(s), nil
}

// PublicKey returns the 32 bytes of the key, or nil if id did not come from Parse or FromPublicKey and is malformed.
func (id ID) PublicKey() []byte {
	if _, err := parseMultibase(string(id)); err != nil {
		return nil
	}
	b, _ := ParseMultibase(string(id))
	return b[len(codec):]
}

const didPrefix = "did:key:"

// DID returns the decentralised identifier, "did:key:z6Mk…".
func (id ID) DID() string { return didPrefix + string(id) }

const sshType = "ssh-ed25519"

// SSHKey returns the key as an OpenSSH public key line without comment, as in authorized_keys and .pub files.
func (id ID) SSHKey() string {
	return sshType + " " + base64.StdEncoding.EncodeToString(id.sshBlob())
}

// Fingerprint returns what `ssh-add -l` prints for the key: "SHA256:" and 43 characters.
func (id ID) Fingerprint() string {
	sum := sha256.Sum256(id.sshBlob())
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// sshBlob is the wire form of the key, RFC 8709 section 4.
func (id ID) sshBlob() []byte {
	return append([]byte("\x00\x00\x00\x0b"+sshType+"\x00\x00\x00\x20"), id.PublicKey()...)
}

func parseSSH(line string) (ID, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return "", fmt.Errorf("%w: %q has no key", ErrInvalid, clip(line))
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(blob) < keySize {
		return "", fmt.Errorf("%w: %q is no OpenSSH public key", ErrInvalid, clip(line))
	}
	id, err := FromPublicKey(blob[len(blob)-keySize:])
	if err != nil || id.SSHKey() != sshType+" "+fields[1] {
		return "", fmt.Errorf("%w: %q is no OpenSSH Ed25519 public key", ErrInvalid, clip(line))
	}
	return id, nil
}

// clip keeps a hostile text from flooding a message.
func clip(s string) string {
	const limit = 96
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
