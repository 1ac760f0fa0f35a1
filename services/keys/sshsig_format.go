package keys

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
)

const (
	sshsigMagic   = "SSHSIG"
	sshsigVersion = 1
	sshsigArmor   = "SSH SIGNATURE"
	hashSHA512    = "sha512"
	// maxArmored bounds a signature in bytes; the largest, by a 16,384-bit RSA key, takes 6,000.
	maxArmored = 16 << 10
)

var hashes = map[string]func() hash.Hash{"sha256": sha256.New, hashSHA512: sha512.New}

// envelope is the signature's wire form after the magic, PROTOCOL.sshsig section 3.
type envelope struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// signedBlob is what the key really signs, PROTOCOL.sshsig section 2.
func signedBlob(namespace, reserved, hash string, digest []byte) []byte {
	return append([]byte(sshsigMagic), ssh.Marshal(struct {
		Namespace, Reserved, Hash string
		Digest                    []byte
	}{namespace, reserved, hash, digest})...)
}

func armor(body []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: sshsigArmor, Bytes: append([]byte(sshsigMagic), body...)})
}

// SSHSIG is a parsed signature. Parsing proves nothing.
type SSHSIG struct {
	// Peer is the key that the signature names; empty if it is not plain Ed25519.
	Peer peer.ID
	// Namespace is what the signature was made for.
	Namespace string

	key       ssh.PublicKey
	reserved  string
	hash      string
	signature *ssh.Signature
}

// Fingerprint is that of the key that the signature names, as ssh-add -l prints it.
func (s *SSHSIG) Fingerprint() string { return ssh.FingerprintSHA256(s.key) }

// ParseSSHSIG reads an armored signature by a key of any kind that OpenSSH has. White space may follow it, nothing else.
func ParseSSHSIG(armored []byte) (*SSHSIG, error) {
	body, err := unarmor(armored)
	if err != nil {
		return nil, fmt.Errorf("cannot read SSH signature: %w", err)
	}
	s, err := parseEnvelope(body)
	if err != nil {
		return nil, fmt.Errorf("cannot read SSH signature: %w", err)
	}
	return s, nil
}

// ReadSSHSIG is ParseSSHSIG of all that r yields. More than a signature takes is not read.
func ReadSSHSIG(r io.Reader) (*SSHSIG, error) {
	armored, err := io.ReadAll(io.LimitReader(r, maxArmored+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read SSH signature: %w", err)
	}
	return ParseSSHSIG(armored)
}

func unarmor(armored []byte) ([]byte, error) {
	if len(armored) > maxArmored {
		return nil, fmt.Errorf("it is larger than %d bytes", maxArmored)
	}
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != sshsigArmor || len(block.Headers) != 0 || len(bytes.TrimSpace(rest)) != 0 ||
		!bytes.HasPrefix(armored, []byte("-----BEGIN "+sshsigArmor+"-----")) {
		return nil, errors.New("its armor is broken")
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte(sshsigMagic))
	if !ok {
		return nil, errors.New("it does not start with SSHSIG")
	}
	return body, nil
}

func parseEnvelope(body []byte) (*SSHSIG, error) {
	var e envelope
	if err := ssh.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	if e.Version != sshsigVersion {
		return nil, fmt.Errorf("its version is %d, not 1", e.Version)
	}
	if e.Namespace == "" || hashes[e.Hash] == nil {
		return nil, fmt.Errorf("its namespace is %q and its hash %q", e.Namespace, e.Hash)
	}
	key, err := ssh.ParsePublicKey(e.PublicKey)
	if err != nil {
		return nil, err
	}
	s := &SSHSIG{Namespace: e.Namespace, key: key, reserved: e.Reserved, hash: e.Hash, signature: new(ssh.Signature)}
	if key.Type() == ssh.KeyAlgoED25519 {
		if s.Peer, err = peer.Parse(string(ssh.MarshalAuthorizedKey(key))); err != nil {
			return nil, err
		}
	}
	return s, ssh.Unmarshal(e.Signature, s.signature)
}
