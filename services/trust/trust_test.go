package trust

import (
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// testSigner is a key in memory.
type testSigner struct{ ed25519.PrivateKey }

func (s testSigner) PublicKey() ed25519.PublicKey { return s.Public().(ed25519.PublicKey) }

func (s testSigner) Sign(_ context.Context, msg []byte) ([]byte, error) {
	return ed25519.Sign(s.PrivateKey, msg), nil
}

func signer(n byte) testSigner {
	return testSigner{ed25519.NewKeyFromSeed(slices.Repeat([]byte{n}, 32))}
}

func signers(n ...byte) (all []testSigner) {
	for _, i := range n {
		all = append(all, signer(i))
	}
	return all
}

func roleOf(t testing.TB, threshold int, who []testSigner) Role {
	r := Role{Threshold: threshold}
	for _, s := range who {
		k, err := NewKey(s.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		r.Keys = append(r.Keys, k)
	}
	return r
}

var expires = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func newRoot(t testing.TB, version int64, threshold int, who []testSigner) *Root {
	t.Helper()
	role := roleOf(t, threshold, who)
	one := Role{Keys: role.Keys, Threshold: 1}
	root, err := NewRoot(RootSpec{
		Version: version, Expires: expires, Snapshot: true,
		Roles: map[string]Role{RoleRoot: role, RoleTargets: role, RoleSnapshot: one, RoleTimestamp: one},
		Extra: map[string]json.RawMessage{"x-test-note": json.RawMessage(`{"text": "a <b> \"c\" \\ ü\n", "n": 9007199254740991}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func signAll(t testing.TB, root, previous *Root, who []testSigner) *Root {
	t.Helper()
	for _, s := range who {
		var err error
		if root, err = SignRoot(t.Context(), s, root, previous); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// judge lets an unmodified go-tuf read and walk the chain.
func judge(files [][]byte) error {
	trusted, err := trustedmetadata.New(files[0])
	for _, data := range files[1:] {
		if err != nil {
			return err
		}
		_, err = trusted.UpdateRoot(data)
	}
	return err
}

// edit changes the parsed JSON of a document and writes it again, without its signatures being made anew.
func edit(t testing.TB, data []byte, change func(doc map[string]any)) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	change(doc)
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func signedOf(doc map[string]any) map[string]any { return doc["signed"].(map[string]any) }

func rootRole(doc map[string]any) map[string]any {
	return signedOf(doc)["roles"].(map[string]any)["root"].(map[string]any)
}

// looseSignature is one that ZIP-215 accepts and RFC 8032 does not: its R is the neutral point in an encoding that is
// not canonical (sign bit set on x = 0), so that S = k*a.
func looseSignature(s testSigner, msg []byte) []byte {
	r := make([]byte, 32)
	r[0], r[31] = 1, 0x80
	h := sha512.Sum512(s.Seed())
	h[0] &= 248
	h[31] = h[31]&63 | 64
	k := sha512.Sum512(slices.Concat(r, s.PublicKey(), msg))
	order, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	n := new(big.Int).Mul(little(h[:32]), little(k[:]))
	out := n.Mod(n, order).FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return append(r, out...)
}

func little(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func keyIDOf(s testSigner) string {
	k, err := NewKey(s.PublicKey())
	if err != nil {
		panic(hex.EncodeToString(s.PublicKey()))
	}
	return k.ID
}
