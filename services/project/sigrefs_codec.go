package project

import (
	"context"
	"errors"
	"fmt"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

const (
	// SignedRefsNamespace is the SSHSIG namespace of signed refs.
	SignedRefsNamespace = keys.NamespaceSigRefs
	// MaxSignedRefs is the size in bytes above which signed refs are not read: some 200,000 refs.
	MaxSignedRefs = 16 << 20

	signedRefsKind = "lnk-sigrefs/1"
	objectFormat   = "sha1"
)

// signedRefsWire is the CBOR form; see the package documentation.
type signedRefsWire struct {
	Kind     string            `cbor:"0,keyasint"`
	URN      string            `cbor:"1,keyasint"`
	Peer     string            `cbor:"2,keyasint"`
	Seq      uint64            `cbor:"3,keyasint"`
	Parent   *[]byte           `cbor:"4,keyasint"` // nil is null
	Format   string            `cbor:"5,keyasint"`
	Refs     map[string][]byte `cbor:"6,keyasint"`
	Identity []byte            `cbor:"7,keyasint"`
}

// Encode returns the bytes that are signed and stored. It refuses what DecodeSignedRefs would refuse.
func (s SignedRefs) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("cannot encode signed refs: %w", err)
	}
	w := signedRefsWire{
		Kind: signedRefsKind, URN: string(s.URN), Peer: string(s.Peer), Seq: s.Seq, Format: objectFormat,
		Refs: make(map[string][]byte, len(s.Refs)), Identity: s.Identity[:],
	}
	if !s.Parent.IsZero() {
		parent := s.Parent[:]
		w.Parent = &parent
	}
	all := make([]byte, 0, len(s.Refs)*len(OID{}))
	for ref, oid := range s.Refs {
		all = append(all, oid[:]...)
		w.Refs[ref] = all[len(all)-len(oid):]
	}
	return ipc.Marshal(w)
}

// DecodeSignedRefs reads what Encode wrote. Anything else, down to another encoding of the same values, is an error
// with code ipc.Corrupt.
func DecodeSignedRefs(data []byte) (SignedRefs, error) {
	s, err := decodeSignedRefs(data)
	if err != nil {
		return SignedRefs{}, ipc.Errorf(ipc.Corrupt, "signed refs: %w", err)
	}
	return s, nil
}

func decodeSignedRefs(data []byte) (SignedRefs, error) {
	if len(data) > MaxSignedRefs {
		return SignedRefs{}, fmt.Errorf("%d bytes, the limit is %d", len(data), MaxSignedRefs)
	}
	var w signedRefsWire
	if err := ipc.Unmarshal(data, &w); err != nil {
		return SignedRefs{}, err
	}
	if w.Kind != signedRefsKind {
		return SignedRefs{}, fmt.Errorf("kind %q, want %q", clip(w.Kind), signedRefsKind)
	}
	if w.Format != objectFormat {
		return SignedRefs{}, fmt.Errorf("object format %q, only %s is supported", clip(w.Format), objectFormat)
	}
	s := SignedRefs{URN: URN(w.URN), Peer: peer.ID(w.Peer), Seq: w.Seq, Refs: make(map[string]OID, len(w.Refs))}
	if err := w.readOIDs(&s); err != nil {
		return SignedRefs{}, err
	}
	return s, s.check()
}

func (w *signedRefsWire) readOIDs(s *SignedRefs) (err error) {
	if s.Identity, err = oidFromBytes(w.Identity); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if w.Parent != nil {
		if s.Parent, err = oidFromBytes(*w.Parent); err != nil {
			return fmt.Errorf("parent: %w", err)
		}
		if s.Parent.IsZero() {
			return errors.New("parent is the zero object id, want null")
		}
	}
	for ref, b := range w.Refs {
		if s.Refs[ref], err = oidFromBytes(b); err != nil {
			return fmt.Errorf("ref %q: %w", clip(ref), err)
		}
	}
	return nil
}

// check holds the rules that both directions share.
func (s SignedRefs) check() error {
	if urn, err := ParseURN(string(s.URN)); err != nil {
		return err
	} else if urn != s.URN {
		return fmt.Errorf("URN %q is not written %q", s.URN, urn)
	}
	if id, err := peer.Parse(string(s.Peer)); err != nil {
		return err
	} else if id != s.Peer {
		return fmt.Errorf("peer %q is not written %q", s.Peer, id)
	}
	if s.Seq == 0 || (s.Seq == 1) != s.Parent.IsZero() {
		return fmt.Errorf("sequence number %d does not fit parent %s", s.Seq, s.Parent)
	}
	if s.Identity.IsZero() {
		return errors.New("no identity document named")
	}
	return checkRefs(s.Refs)
}

func checkRefs(refs map[string]OID) error {
	for ref, oid := range refs {
		if err := CheckRef(ref); err != nil {
			return err
		}
		if oid.IsZero() {
			return fmt.Errorf("ref %q has the zero object id", ref)
		}
	}
	return nil
}

// Signed is a set of refs with the signature of the peer that it names. It comes from Sign or VerifySignedRefs alone, so
// that it is never anything but valid.
type Signed struct {
	SignedRefs
	data, signature []byte
}

// Data returns the CBOR bytes that are signed; the caller must not change them.
func (s Signed) Data() []byte { return s.data }

// Signature returns the armored SSHSIG signature; the caller must not change it.
func (s Signed) Signature() []byte { return s.signature }

// Sign has the signer sign s; its key must be s.Peer's. The errors of the signer (ipc.NoKey and its hints) are returned
// as they are.
func (s SignedRefs) Sign(ctx context.Context, signer keys.Signer) (Signed, error) {
	if id, err := peer.FromPublicKey(signer.PublicKey()); err != nil || id != s.Peer {
		return Signed{}, ipc.Errorf(ipc.PermissionDenied, "cannot sign the refs of %s with the key of %s", s.Peer, id)
	}
	data, err := s.Encode()
	if err != nil {
		return Signed{}, err
	}
	signature, err := keys.SignSSHSIG(ctx, signer, SignedRefsNamespace, data)
	if err != nil {
		return Signed{}, err
	}
	return s.attach(data, signature)
}

// VerifySignedRefs decodes data and checks that the peer it names signed exactly these bytes. Errors have code
// ipc.Corrupt.
func VerifySignedRefs(data, signature []byte) (Signed, error) {
	s, err := DecodeSignedRefs(data)
	if err != nil {
		return Signed{}, err
	}
	return s.attach(data, signature)
}

func (s SignedRefs) attach(data, signature []byte) (Signed, error) {
	if err := keys.VerifySSHSIG(s.Peer.PublicKey(), SignedRefsNamespace, data, signature); err != nil {
		return Signed{}, ipc.Errorf(ipc.Corrupt, "signature of %s over its refs: %w", s.Peer, err)
	}
	return Signed{s, data, signature}, nil
}
