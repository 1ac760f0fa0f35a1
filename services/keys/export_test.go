package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// GenerateCheaply is Generate for tests that have no second to spare.
func GenerateCheaply(path, comment string, passphrase []byte) (peer.ID, error) {
	return store(path, comment, passphrase, 1, func() (ed25519.PrivateKey, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	})
}

// WithSpare is the agent with its idle connection kept until the test ends, however long the test takes.
func (a Agent) WithSpare(t testing.TB) Agent {
	if a.spare == nil {
		a.spare = newSpare()
	}
	a.spare.mu.Lock()
	defer a.spare.mu.Unlock()
	a.spare.linger = time.Hour
	t.Cleanup(func() {
		if conn := a.spare.conn; conn != nil {
			conn.Close()
		}
	})
	return a
}
