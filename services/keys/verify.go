package keys

import (
	stdlib "crypto/ed25519"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// zip215 selects the rules of ZIP 215, which are those of ed25519-zebra (RFC 0682, Signatures): every implementation
// that follows them agrees on every input, alone or in a batch. The library's default rules are others.
var zip215 = &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}

// Verify reports whether sig is pub's signature over msg by ZIP-215 rules. A key or signature of the wrong length is false.
//
// ZIP-215 also accepts keys that no honest generator makes; who admits a key as somebody's identity asks CheckPublicKey.
func Verify(pub, msg, sig []byte) bool {
	return len(pub) == ed25519.PublicKeySize && ed25519.VerifyWithOptions(pub, msg, sig, zip215)
}

// VerifyStrict reports whether sig is valid both by ZIP-215 and by RFC 8032 as the Go standard library reads it. It is
// for TUF: a signature that Verify alone accepts would lock out standard clients.
func VerifyStrict(pub, msg, sig []byte) bool {
	return Verify(pub, msg, sig) && stdlib.Verify(pub, msg, sig)
}

// A Key is a public key prepared for many verifications, about 1.5 KiB. It is safe for concurrent use.
type Key struct {
	expanded *ed25519.ExpandedPublicKey
}

// Expand prepares pub; worth it from the second signature on. It fails where Verify would be false for every signature.
func Expand(pub []byte) (*Key, error) {
	expanded, err := ed25519.NewExpandedPublicKey(pub)
	if err != nil {
		return nil, errNoPoint
	}
	return &Key{expanded}, nil
}

// Verify is Verify for the prepared key, with the same answers.
func (k *Key) Verify(msg, sig []byte) bool {
	return ed25519.VerifyExpandedWithOptions(k.expanded, msg, sig, zip215)
}

// Item is one signature of a batch.
type Item struct {
	Pub, Msg, Sig []byte
}

// VerifyBatch checks many signatures at once, with the same answers as Verify. It reports whether all are valid, and for
// each item whether that one is; where one is bad it costs about as much as one by one. An empty batch proves nothing: false.
func VerifyBatch(items []Item) (bool, []bool) {
	// Left to itself the library expands each key that it will use once: a tenth slower (BenchmarkVerify).
	batch := ed25519.NewBatchVerifierWithCapacity(len(items)).ForceNoPublicKeyExpansion()
	for _, it := range items {
		// A key of the wrong length makes an entry that is never valid.
		batch.AddWithOptions(it.Pub, it.Msg, it.Sig, zip215)
	}
	return batch.Verify(nil)
}
