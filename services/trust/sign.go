package trust

import (
	"context"
	"fmt"
	"slices"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
)

// SignRoot returns root with the signer's signature. What is signed is the canonical form that ParseRoot made from the
// parsed document, never bytes from elsewhere, so that no other protocol can be served with it. The key must be a root
// key of root or of previous, the version before (nil for the first). A signer's own errors are returned as they are;
// a foreign key is ipc.PermissionDenied.
func SignRoot(ctx context.Context, signer keys.Signer, root, previous *Root) (*Root, error) {
	key, ok := signingKey(signer.PublicKey(), root, previous)
	if !ok {
		return nil, ipc.Errorf(ipc.PermissionDenied, "key %x is no root key of version %d, nor of the one before", []byte(signer.PublicKey()), root.Version())
	}
	sig, err := signer.Sign(ctx, root.payload)
	if err != nil {
		return nil, err
	}
	return addSignature(root, previous, Signature{KeyID: key.ID, Sig: sig})
}

func signingKey(pub []byte, root, previous *Root) (Key, bool) {
	for _, k := range rootKeys(root, previous) {
		if string(k.Public) == string(pub) {
			return k, true
		}
	}
	return Key{}, false
}

// rootKeys returns those whose signature may matter: both documents' root keys, as a rotation takes both quorums.
func rootKeys(root, previous *Root) []Key {
	all := slices.Clone(root.roles[RoleRoot].Keys)
	if previous != nil {
		all = append(all, previous.roles[RoleRoot].Keys...)
	}
	return all
}

// addSignature returns root with a signature that was made elsewhere; one by the same key is replaced. It is checked
// first: ipc.PermissionDenied if it is by a foreign key, ipc.BadRequest if it does not verify.
func addSignature(root, previous *Root, sig Signature) (*Root, error) {
	candidates := rootKeys(root, previous)
	i := slices.IndexFunc(candidates, func(k Key) bool { return k.ID == sig.KeyID })
	if i < 0 {
		return nil, ipc.Errorf(ipc.PermissionDenied, "key %.64s is no root key of version %d, nor of the one before", sig.KeyID, root.Version())
	}
	if err := candidates[i].verify(root.payload, sig.Sig); err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "cannot add signature: %w", err)
	}
	data, err := withSignature(root.data, sig)
	if err != nil {
		return nil, fmt.Errorf("cannot add signature: %w", err)
	}
	if len(data) > MaxRoot {
		return nil, ipc.Errorf(ipc.TooLarge, "root document would have %d bytes, the limit is %d", len(data), MaxRoot)
	}
	next := *root
	next.data, next.signatures, next.good = data, placeSignature(root.signatures, sig), root.good.with(sig)
	return &next, nil
}
