package keys

import (
	"crypto/sha256"

	"golang.org/x/crypto/ssh"
)

// userPresent is the flag of a touch, CTAP2 section 6.1 ("up").
const userPresent = 1

// verifySK checks a signature by a FIDO security key (sk-ssh-ed25519@openssh.com, PROTOCOL.u2f of OpenSSH). Such a key signs
// hashes and a counter of its own, never the message: good for SSHSIG, of no use where a plain Ed25519 signature is wanted.
// As sshd does, it wants the flag that somebody touched the key: without it the signature shows no more than a key file's.
func verifySK(keyBlob, msg []byte, sig *ssh.Signature) bool {
	var key struct {
		Type        string
		Key         []byte
		Application string
	}
	var touch struct {
		Flags   byte
		Counter uint32
	}
	if ssh.Unmarshal(keyBlob, &key) != nil || ssh.Unmarshal(sig.Rest, &touch) != nil || sig.Format != ssh.KeyAlgoSKED25519 || touch.Flags&userPresent == 0 {
		return false
	}
	application, digest := sha256.Sum256([]byte(key.Application)), sha256.Sum256(msg)
	return Verify(key.Key, ssh.Marshal(struct {
		Application [sha256.Size]byte
		Flags       byte
		Counter     uint32
		Digest      [sha256.Size]byte
	}{application, touch.Flags, touch.Counter, digest}), sig.Blob)
}
