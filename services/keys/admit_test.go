package keys

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
)

func TestCheckPublicKey(t *testing.T) {
	honest := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	if err := CheckPublicKey(honest); err != nil {
		t.Errorf("an honest key: %v", err)
	}
	noncanonical := append([]byte{0xee}, 0xff)
	for len(noncanonical) < 31 {
		noncanonical = append(noncanonical, 0xff)
	}
	noncanonical = append(noncanonical, 0x7f) // y = p+1 = 1
	for name, pub := range map[string][]byte{
		"empty": nil, "short": honest[:31], "long": append(honest[:32:32], 0), "no point": append([]byte{2}, make([]byte, 31)...),
		"identity": append([]byte{1}, make([]byte, 31)...), "non-canonical": noncanonical, "torsion": withTorsion(t, honest),
	} {
		if err := CheckPublicKey(pub); !errors.Is(err, ErrWeakKey) {
			t.Errorf("%s: %v, want ErrWeakKey", name, err)
		}
	}
}

// withTorsion adds the point of order 2 to a key: another key, under which the owner's signatures still verify cofactored.
func withTorsion(t *testing.T, pub []byte) []byte {
	t.Helper()
	order2 := unhex(t, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f") // y = -1
	var sum curve.EdwardsPoint
	sum.Add(point(t, pub), point(t, order2))
	var out curve.CompressedEdwardsY
	out.SetEdwardsPoint(&sum)
	return out[:]
}

func point(t *testing.T, b []byte) *curve.EdwardsPoint {
	t.Helper()
	compressed, err := curve.NewCompressedEdwardsYFromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := curve.NewEdwardsPoint().SetCompressedY(compressed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
