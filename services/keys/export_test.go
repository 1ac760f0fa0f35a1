package keys

import (
	"crypto/ed25519"
	"crypto/rand"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// GenerateCheaply is Generate for tests that have no second to spare.
func GenerateCheaply(path, comment string, passphrase []byte) (peer.ID, error) {
	return store(path, comment, passphrase, 1, func() (ed25519.PrivateKey, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	})
}
