package trust

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/lnk-suite/lnk/services/keys"
)

// Key is a public key that a document names. ID is what signatures call it.
type Key struct {
	ID     string
	Public ed25519.PublicKey
}

// NewKey returns pub under its TUF key id: SHA-256 over the canonical JSON of the key object. It refuses what
// keys.CheckPublicKey refuses.
func NewKey(pub ed25519.PublicKey) (Key, error) {
	if err := keys.CheckPublicKey(pub); err != nil {
		return Key{}, err
	}
	id, err := tufKey(pub).ID()
	return Key{ID: id, Public: pub}, err
}

func tufKey(pub ed25519.PublicKey) *metadata.Key {
	return &metadata.Key{
		Type: metadata.KeyTypeEd25519, Scheme: metadata.KeySchemeEd25519,
		Value: metadata.KeyVal{PublicKey: hex.EncodeToString(pub)},
	}
}

// readKey admits one key of a document. The id must be the hash of the whole key object, or of its three standard
// members: Repository Service for TUF leaves fields of its own out.
func readKey(id string, k *metadata.Key) (Key, error) {
	if k == nil {
		return Key{}, fmt.Errorf("key %.64s is null", id)
	}
	if k.Type != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 {
		return Key{}, fmt.Errorf("key %.64s: type %.40q with scheme %.40q is not supported, only ed25519 is", id, k.Type, k.Scheme)
	}
	pub, err := hex.DecodeString(k.Value.PublicKey)
	if err != nil || hex.EncodeToString(pub) != k.Value.PublicKey {
		return Key{}, fmt.Errorf("key %.64s: not in lower-case hexadecimal", id)
	}
	key, err := NewKey(pub)
	if err != nil {
		return Key{}, fmt.Errorf("key %.64s: %w", id, err)
	}
	whole, err := k.ID()
	if err != nil {
		return Key{}, fmt.Errorf("key %.64s: %w", id, err)
	}
	if id != key.ID && id != whole {
		return Key{}, fmt.Errorf("key %.64s: the id should be %s", id, whole)
	}
	key.ID = id
	return key, nil
}
