package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
)

// NamespaceSigRefs is that of signed refs. The suite's own namespaces begin with "lnk-". A signature made for one purpose is
// no good for another, nor as git's ("git") or a file's ("file"), as the namespace is part of what is signed.
const NamespaceSigRefs = "lnk-sigrefs"

// ErrSignature is in the chain when a signature is well-formed but not the one that was asked for.
var ErrSignature = errors.New("signature does not verify")

// SignSSHSIG signs msg in SSHSIG form (PROTOCOL.sshsig of OpenSSH) and returns it armored, as ssh-keygen -Y sign does.
// The namespace must not be empty. Errors are the signer's.
func SignSSHSIG(ctx context.Context, s Signer, namespace string, msg []byte) ([]byte, error) {
	return signEnvelope(sshKey(s.PublicKey()), namespace, bytes.NewReader(msg), func(blob []byte) (*ssh.Signature, error) {
		sig, err := s.Sign(ctx, blob)
		return &ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: sig}, err
	})
}

// VerifySSHSIG says whether armored is a signature over msg by the Ed25519 key pub, in that namespace. The error is
// ErrSignature with the reason, or says what is malformed.
func VerifySSHSIG(pub []byte, namespace string, msg, armored []byte) error {
	id, err := peer.FromPublicKey(pub)
	if err != nil {
		return err
	}
	sig, err := ParseSSHSIG(armored)
	if err != nil {
		return err
	}
	if sig.Peer != id {
		return fmt.Errorf("%w: it is by %s, not by %s", ErrSignature, sig.Fingerprint(), id)
	}
	return sig.Verify(namespace, bytes.NewReader(msg))
}

// Verify says whether s is a signature in that namespace, by the key that it names, over all that r yields. Whether
// that key means anything is another question: compare Peer, or ask AllowedSigners.
func (s *SSHSIG) Verify(namespace string, r io.Reader) error {
	if namespace == "" || s.Namespace != namespace {
		return fmt.Errorf("%w: its namespace is %q, not %q", ErrSignature, s.Namespace, namespace)
	}
	hash := hashes[s.hash]()
	if _, err := io.Copy(hash, r); err != nil {
		return fmt.Errorf("cannot read what was signed: %w", err)
	}
	if !s.verifyBlob(signedBlob(s.Namespace, s.reserved, s.hash, hash.Sum(nil))) {
		return fmt.Errorf("%w: not these bytes, or not by %s", ErrSignature, s.Fingerprint())
	}
	return nil
}

func (s *SSHSIG) verifyBlob(blob []byte) bool {
	switch s.key.Type() {
	case ssh.KeyAlgoED25519:
		return s.signature.Format == ssh.KeyAlgoED25519 && len(s.signature.Rest) == 0 && Verify(s.Peer.PublicKey(), blob, s.signature.Blob)
	case ssh.KeyAlgoSKED25519:
		return verifySK(s.key.Marshal(), blob, s.signature)
	case ssh.KeyAlgoRSA:
		// PROTOCOL.sshsig section 3.2.1 forbids SHA-1.
		return s.signature.Format != ssh.KeyAlgoRSA && s.key.Verify(blob, s.signature) == nil
	}
	return s.key.Verify(blob, s.signature) == nil
}
