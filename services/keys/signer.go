package keys

import (
	"context"
	"crypto/ed25519"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
)

// Signer makes signatures with one device key.
type Signer interface {
	// PublicKey is the key that signs, 32 bytes.
	PublicKey() ed25519.PublicKey
	// Sign returns the 64-byte Ed25519 signature over msg itself. Callers sign only what they have built or parsed
	// themselves, and in SSHSIG form unless a standard demands raw bytes (SignSSHSIG).
	Sign(ctx context.Context, msg []byte) ([]byte, error)
}

// maxSigned is the longest message in bytes that every agent takes: OpenSSH closes the connection on requests over 256 KiB.
const maxSigned = 256<<10 - 1<<10

// AgentSigner signs with a key that an agent holds. It is safe for concurrent use.
type AgentSigner struct {
	agent Agent
	id    peer.ID
	pub   ed25519.PublicKey
	key   ssh.PublicKey
	check *Key // nil for what is no point on the curve, and so no key's
}

// Signer returns a signer for one of the agent's keys. Nothing is asked of the agent until Sign.
func (a Agent) Signer(id peer.ID) *AgentSigner {
	pub := ed25519.PublicKey(id.PublicKey())
	// Cheaper even if there is only one signature: 6 and 36 microseconds instead of 47.
	check, _ := Expand(pub)
	if a.spare == nil {
		a.spare = newSpare()
	}
	return &AgentSigner{a, id, pub, sshKey(pub), check}
}

// PublicKey returns the key that signs.
func (s *AgentSigner) PublicKey() ed25519.PublicKey { return s.pub }

// Sign asks the agent, for at most a minute, and returns only a signature that verifies. Errors are ipc.NoKey with a
// hint; ipc.TooLarge for messages that agents do not take; ctx's when that was cancelled.
func (s *AgentSigner) Sign(ctx context.Context, msg []byte) ([]byte, error) {
	sig, err := s.agent.sign(ctx, s.key, msg)
	if err != nil {
		return nil, err
	}
	if sig.Format != ssh.KeyAlgoED25519 || len(sig.Rest) != 0 || s.check == nil || !s.check.Verify(msg, sig.Blob) {
		return nil, s.agent.errOtherKey(string(s.id))
	}
	return sig.Blob, nil
}

// sshKey wraps raw bytes for x/crypto. A key of the wrong length is one that no agent holds.
func sshKey(pub ed25519.PublicKey) ssh.PublicKey {
	if len(pub) != ed25519.PublicKeySize {
		pub = make(ed25519.PublicKey, ed25519.PublicKeySize)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		panic(err) // The length is the only thing that can be wrong.
	}
	return key
}
