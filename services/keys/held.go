package keys

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// DefaultLifetime is how long a key stays in the agent unless told otherwise, a working day (RFC 0682 recommends a limit).
const DefaultLifetime = 8 * time.Hour

// AddOptions says how an agent is to hold a key.
type AddOptions struct {
	// Lifetime is when the agent forgets the key, in whole seconds; 0 means DefaultLifetime.
	Lifetime time.Duration
	// Forever keeps the key until the agent ends. Lifetime must be 0.
	Forever bool
	// Confirm makes the agent ask a person for every signature.
	Confirm bool
}

// Check says whether the options contradict each other, or no agent could keep to them.
func (o AddOptions) Check() error {
	_, err := o.seconds()
	return err
}

func (o AddOptions) seconds() (uint32, error) {
	switch {
	case o.Forever && o.Lifetime != 0:
		return 0, fmt.Errorf("cannot keep a key both forever and for %s", o.Lifetime)
	case o.Forever:
		return 0, nil
	case o.Lifetime == 0:
		return uint32(DefaultLifetime / time.Second), nil
	case o.Lifetime < time.Second || o.Lifetime/time.Second > math.MaxUint32:
		return 0, fmt.Errorf("cannot keep a key for %s: use at least a second", o.Lifetime)
	}
	return uint32(o.Lifetime / time.Second), nil
}

// Add opens a private key file and gives the key to the agent. passphrase is asked only if the file is encrypted. The
// key is in this process for that moment; its memory is cleared. A wrong passphrase is ErrPassphrase.
func (a Agent) Add(ctx context.Context, path string, passphrase func(context.Context) ([]byte, error), o AddOptions) (peer.ID, error) {
	seconds, err := o.seconds()
	if err != nil {
		return "", err
	}
	// Found out before a person types a passphrase for nothing.
	if err := a.Check(ctx); err != nil {
		return "", err
	}
	opened, err := openKey(ctx, path, passphrase)
	if err != nil {
		return "", err
	}
	defer clear(opened.key)
	return opened.id, a.session(ctx, askLimit, func(client agent.ExtendedAgent, w *wire) error {
		err := client.Add(agent.AddedKey{PrivateKey: &opened.key, Comment: opened.comment, LifetimeSecs: seconds, ConfirmBeforeUse: o.Confirm})
		return a.explain(err, w, "take the key", hintTake)
	})
}

// Held is a key in an agent.
type Held struct {
	// Peer is the key's id; empty for keys that are not plain Ed25519.
	Peer peer.ID
	// Type is OpenSSH's name of the kind of key, "ssh-ed25519" for device keys.
	Type string
	// Fingerprint is as ssh-add -l prints it.
	Fingerprint string
	// Comment is what the key was added with.
	Comment string
}

// List returns every key that the agent admits to hold. A locked agent admits to none.
func (a Agent) List(ctx context.Context) ([]Held, error) {
	var held []Held
	err := a.session(ctx, askLimit, func(client agent.ExtendedAgent, w *wire) error {
		list, err := client.List()
		if err != nil {
			return a.explain(err, w, "list its keys", hintUnlock)
		}
		for _, k := range list {
			held = append(held, describe(k))
		}
		return nil
	})
	return held, err
}

func describe(k *agent.Key) Held {
	h := Held{Type: k.Format, Fingerprint: ssh.FingerprintSHA256(k), Comment: k.Comment}
	if id, err := peer.Parse(string(ssh.MarshalAuthorizedKey(k))); err == nil {
		h.Peer = id
	}
	return h
}

// Holds reports whether the agent holds a key right now.
func (a Agent) Holds(ctx context.Context, id peer.ID) (bool, error) {
	held, err := a.List(ctx)
	for _, h := range held {
		if h.Peer == id {
			return true, nil
		}
	}
	return false, err
}

// Ready says whether the agent would find a key to sign with: nil, or the reason why not and its cure (ipc.NoKey). Whether
// it then asks a person shows only when it signs.
func (a Agent) Ready(ctx context.Context, id peer.ID) error {
	held, err := a.List(ctx)
	if err == nil && len(held) == 0 {
		return a.errEmpty()
	}
	if err == nil && !slices.ContainsFunc(held, func(h Held) bool { return h.Peer == id }) {
		return a.errAbsent(string(id))
	}
	return err
}

// Remove makes the agent forget a key. A key that it does not hold is an error.
func (a Agent) Remove(ctx context.Context, id peer.ID) error {
	return a.session(ctx, askLimit, func(client agent.ExtendedAgent, w *wire) error {
		key := sshKey(id.PublicKey())
		err := client.Remove(key)
		if err != nil && w.refused() {
			return a.diagnose(client, w, key, a.errCannot("remove key "+string(id), hintList))
		}
		return a.explain(err, w, "remove the key", hintUnlock)
	})
}

// Lock hides the agent's keys until Unlock with the same passphrase.
func (a Agent) Lock(ctx context.Context, passphrase []byte) error {
	return a.session(ctx, askLimit, func(client agent.ExtendedAgent, w *wire) error {
		return a.explain(client.Lock(passphrase), w, "lock: it is locked already", "lnk key unlock")
	})
}

// Unlock undoes Lock.
func (a Agent) Unlock(ctx context.Context, passphrase []byte) error {
	return a.session(ctx, askLimit, func(client agent.ExtendedAgent, w *wire) error {
		return a.explain(client.Unlock(passphrase), w, "unlock: it is not locked, or the passphrase is another",
			"give the passphrase of lnk key lock; an agent that is not locked lists its keys: lnk key list")
	})
}

// explain tells a refusal to do something, with its cure, from an answer that makes no sense.
func (a Agent) explain(err error, w *wire, what, hint string) error {
	switch {
	case err == nil:
		return nil
	case w.refused():
		return a.errCannot(what, hint)
	}
	return a.errGarbage(err)
}
