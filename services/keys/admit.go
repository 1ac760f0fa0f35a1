package keys

import (
	"errors"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/curve"
)

// ErrWeakKey is in the chain of every error of CheckPublicKey.
var ErrWeakKey = errors.New("not an acceptable Ed25519 public key")

var errNoPoint = fmt.Errorf("%w: it is not a point on the curve", ErrWeakKey)

// CheckPublicKey says whether a key may become somebody's identity: 32 bytes, a point in its one canonical encoding, not
// of small order and free of torsion. Whoever holds another kind of key can make signatures that fit several messages, or
// appear as several keys, so such keys are refused at the door: on generation, import, and in every document that names keys.
func CheckPublicKey(pub []byte) error {
	var compressed curve.CompressedEdwardsY
	if _, err := compressed.SetBytes(pub); err != nil {
		return fmt.Errorf("%w: it has %d bytes, not 32", ErrWeakKey, len(pub))
	}
	var point curve.EdwardsPoint
	if _, err := point.SetCompressedY(&compressed); err != nil {
		return errNoPoint
	}
	switch {
	case !compressed.IsCanonicalVartime():
		return fmt.Errorf("%w: it is not in canonical encoding", ErrWeakKey)
	case point.IsSmallOrder():
		return fmt.Errorf("%w: it is of small order", ErrWeakKey)
	case !point.IsTorsionFree():
		return fmt.Errorf("%w: it has a torsion component", ErrWeakKey)
	}
	return nil
}
