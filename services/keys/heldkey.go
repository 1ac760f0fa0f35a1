package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// HeldKey is any key that an agent holds: a device key, a person's RSA key, a security key. All of them can sign in
// SSHSIG form; what needs a plain Ed25519 signature takes only the first kind ([Agent.Signer]).
type HeldKey struct {
	agent Agent
	key   ssh.PublicKey
	log   func(blob []byte) error
}

// Key is one of the agent's keys by its OpenSSH line, any notation of a peer id, or its fingerprint. Only the last asks the
// agent already now. Errors are ipc.NoKey, or ipc.BadRequest if name is none of these.
func (a Agent) Key(ctx context.Context, name string) (*HeldKey, error) {
	if strings.HasPrefix(name, fingerprintPrefix) {
		return a.byFingerprint(ctx, name)
	}
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(name)); err == nil {
		return &HeldKey{agent: a, key: key}, nil
	}
	id, err := peer.Parse(name)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "%q names no key", name).WithHint("give a peer id, a fingerprint (SHA256:…), or an OpenSSH public key line")
	}
	return &HeldKey{agent: a, key: sshKey(id.PublicKey())}, nil
}

const fingerprintPrefix = "SHA256:"

func (a Agent) byFingerprint(ctx context.Context, wanted string) (*HeldKey, error) {
	found := &HeldKey{agent: a}
	return found, a.session(ctx, askLimit, func(client agent.ExtendedAgent, w *wire) error {
		list, err := client.List()
		if err != nil {
			return a.explain(err, w, "list its keys", hintUnlock)
		}
		for _, k := range list {
			if ssh.FingerprintSHA256(k) == wanted {
				found.key, err = ssh.ParsePublicKey(k.Blob)
				return err
			}
		}
		if len(list) == 0 {
			return a.errEmpty()
		}
		return a.errAbsent(wanted)
	})
}

// Peer is the key's id; empty unless it is plain Ed25519.
func (k *HeldKey) Peer() peer.ID {
	id, err := peer.Parse(string(ssh.MarshalAuthorizedKey(k.key)))
	if err != nil {
		return ""
	}
	return id
}

// Fingerprint is as ssh-add -l prints it.
func (k *HeldKey) Fingerprint() string { return ssh.FingerprintSHA256(k.key) }

// errNotDevice says why a kind of key cannot be a device key.
func errNotDevice(kind string) error {
	const hint = "make a device key: lnk profile create NAME; this one can sign files: lnk key sign --key"
	if strings.HasPrefix(kind, "sk-") {
		return ipc.Errorf(ipc.Unsupported, "a security key (%s) cannot be used here: it signs a hash, flags and a counter, never the message itself", kind).WithHint(hint)
	}
	return ipc.Errorf(ipc.Unsupported, "a key of type %s cannot be used here: device keys are Ed25519", kind).WithHint(hint)
}

// Audited returns the key such that each signature is recorded in l before it is handed out.
func (k *HeldKey) Audited(l *AuditLog, caller string) *HeldKey {
	record := AuditRecord{Key: k.Peer(), Caller: caller}
	if record.Key == "" {
		record.Fingerprint = k.Fingerprint()
	}
	return &HeldKey{k.agent, k.key, func(blob []byte) error { return l.record(record, blob, "") }}
}

// SignSSHSIG signs all that r yields, of any length (only its hash goes to the agent), and returns only a signature that verifies. A security
// key waits for a touch, for at most a minute.
func (k *HeldKey) SignSSHSIG(ctx context.Context, namespace string, r io.Reader) ([]byte, error) {
	return signEnvelope(k.key, namespace, r, func(blob []byte) (*ssh.Signature, error) {
		sig, err := k.agent.sign(ctx, k.key, blob)
		if err != nil {
			return nil, err
		}
		made := SSHSIG{Peer: k.Peer(), Namespace: namespace, key: k.key, signature: sig}
		if !made.verifyBlob(blob) {
			return nil, k.agent.errOtherKey(nameOf(k.key))
		}
		if k.log != nil {
			err = k.log(blob)
		}
		return sig, err
	})
}

// sign asks the agent for one signature and finds out why, if there is none.
func (a Agent) sign(ctx context.Context, key ssh.PublicKey, msg []byte) (*ssh.Signature, error) {
	if len(msg) > maxSigned {
		return nil, ipc.Errorf(ipc.TooLarge, "cannot sign %d bytes: an ssh-agent takes %d", len(msg), maxSigned)
	}
	var flags agent.SignatureFlags
	if key.Type() == ssh.KeyAlgoRSA {
		flags = agent.SignatureFlagRsaSha512 // SSHSIG forbids SHA-1.
	}
	limit := a.Patience
	if limit == 0 {
		limit = signLimit
	}
	var sig *ssh.Signature
	return sig, a.session(ctx, limit, func(client agent.ExtendedAgent, w *wire) (err error) {
		sig, err = client.SignWithFlags(key, msg, flags)
		if err != nil && w.refused() {
			return a.diagnose(client, w, key, a.errRefused(nameOf(key)))
		}
		if err != nil {
			return a.errGarbage(err)
		}
		return nil
	})
}

// diagnose finds out why the agent refused to do something with a key; refused is the error if it has the key. It is asked
// afterwards, as what goes well needs no second question.
func (a Agent) diagnose(client agent.ExtendedAgent, w *wire, key ssh.PublicKey, refused error) error {
	held, err := client.List()
	switch {
	case err != nil:
		return a.explain(err, w, "list its keys", hintUnlock)
	case len(held) == 0:
		return a.errEmpty()
	}
	blob := string(key.Marshal())
	for _, k := range held {
		if string(k.Blob) == blob {
			return refused
		}
	}
	return a.errAbsent(nameOf(key))
}

// nameOf is how messages call a key: the peer id of a device key, else the fingerprint.
func nameOf(key ssh.PublicKey) string {
	if id := (&HeldKey{key: key}).Peer(); id != "" {
		return string(id)
	}
	return ssh.FingerprintSHA256(key)
}

// signEnvelope makes an armored signature with whatever signs the blob.
func signEnvelope(key ssh.PublicKey, namespace string, r io.Reader, sign func(blob []byte) (*ssh.Signature, error)) ([]byte, error) {
	if namespace == "" {
		return nil, errors.New("cannot sign without a namespace")
	}
	hash := hashes[hashSHA512]()
	if _, err := io.Copy(hash, r); err != nil {
		return nil, fmt.Errorf("cannot read what is to be signed: %w", err)
	}
	sig, err := sign(signedBlob(namespace, "", hashSHA512, hash.Sum(nil)))
	if err != nil {
		return nil, err
	}
	return armor(ssh.Marshal(envelope{
		Version: sshsigVersion, PublicKey: key.Marshal(), Namespace: namespace, Hash: hashSHA512, Signature: ssh.Marshal(sig),
	})), nil
}
