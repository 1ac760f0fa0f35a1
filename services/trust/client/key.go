package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

// key is a public key that a document names. One that cannot be used never verifies and keeps no document from being read, as
// repositories come to know new types before all of their clients do.
type key struct {
	id     string
	holder string // the same for keys that belong to the same private key
	name   string // what the document calls the holder, if anything; it has no force
	peer   peer.ID
	verify func(payload, sig []byte) error
}

// maxModulus bounds RSA keys, in bits: verification takes time that grows with its square.
const maxModulus = 8192

// ownerMembers are the members of keys in which Repository Service for TUF and tuf-on-ci name their holders.
var ownerMembers = []string{"x-rstuf-key-name", "x-tuf-on-ci-keyowner"}

func readKey(id string, o object) key {
	k, err := parseKey(o)
	if err != nil {
		return unusable(id, err)
	}
	k.id = id
	for _, member := range ownerMembers {
		_, _ = o.readOptional(member, &k.name) // of another form: no name
	}
	return k
}

func unusable(id string, why error) key {
	return key{id: id, holder: "unusable " + id, verify: func([]byte, []byte) error { return why }}
}

func parseKey(o object) (key, error) {
	var kind, scheme, public string
	var value object
	if err := errors.Join(o.read("keytype", &kind), o.read("scheme", &scheme), o.read("keyval", &value)); err != nil {
		return key{}, err
	}
	if err := value.read("public", &public); err != nil {
		return key{}, err
	}
	switch {
	case kind == "ed25519" && scheme == "ed25519":
		return edKey(public)
	case kind == "rsa" && scheme == "rsassa-pss-sha256":
		return rsaKey(public)
	case (kind == "ecdsa" || kind == "ecdsa-sha2-nistp256") && scheme == "ecdsa-sha2-nistp256":
		return ecdsaKey(public)
	}
	return key{}, fmt.Errorf("keys of type %.40q with scheme %.40q are not supported", kind, scheme)
}

var errNotVerified = errors.New("the signature does not verify")

func require(ok bool) error {
	if !ok {
		return errNotVerified
	}
	return nil
}

// edKey follows the rule of the suite: a signature must be valid under ZIP-215 and under RFC 8032, a key be sound.
func edKey(text string) (key, error) {
	pub, err := hex.DecodeString(text)
	if err != nil {
		return key{}, errors.New("the Ed25519 key is not in hexadecimal")
	}
	if err := keys.CheckPublicKey(pub); err != nil {
		return key{}, err
	}
	id, err := peer.FromPublicKey(pub)
	verify := func(payload, sig []byte) error {
		if keys.Verify(pub, payload, sig) && !keys.VerifyStrict(pub, payload, sig) {
			return trust.ErrStrict
		}
		return require(keys.VerifyStrict(pub, payload, sig))
	}
	return key{holder: "ed25519 " + string(pub), peer: id, verify: verify}, err
}

func rsaKey(text string) (key, error) {
	public, holder, err := pemKey(text)
	if err != nil {
		return key{}, err
	}
	pub, ok := public.(*rsa.PublicKey)
	if !ok || pub.N.BitLen() > maxModulus {
		return key{}, fmt.Errorf("the key is no RSA key of at most %d bits", maxModulus)
	}
	return key{holder: holder, verify: func(payload, sig []byte) error {
		sum := sha256.Sum256(payload)
		return require(rsa.VerifyPSS(pub, crypto.SHA256, sum[:], sig, nil) == nil) // any length of salt
	}}, nil
}

func ecdsaKey(text string) (key, error) {
	public, holder, err := pemKey(text)
	if err != nil {
		return key{}, err
	}
	pub, ok := public.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return key{}, errors.New("the key is no ECDSA key on the curve P-256")
	}
	return key{holder: holder, verify: func(payload, sig []byte) error {
		sum := sha256.Sum256(payload)
		return require(ecdsa.VerifyASN1(pub, sum[:], sig))
	}}, nil
}

// pemKey reads one PEM block, and names the holder by the key's one binary form: the text may vary.
func pemKey(text string) (public crypto.PublicKey, holder string, err error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, "", errors.New("the key is not in PEM form")
	}
	if block.Type == "RSA PUBLIC KEY" {
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	} else {
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	}
	if err != nil {
		return nil, "", err
	}
	form, err := x509.MarshalPKIXPublicKey(public)
	return public, "pkix " + string(form), err
}
