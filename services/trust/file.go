package trust

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
)

// MaxFile is the size in bytes above which metadata other than root is not read: what go-tuf's client takes by default
// for a targets file.
const MaxFile = 5_000_000

// Document is what signed metadata of every role has in common.
type Document interface {
	Bytes() []byte           // the whole file
	Payload() []byte         // the canonical bytes that the signatures cover
	Version() int64          // from 1
	Expires() time.Time      // UTC, whole seconds
	Signatures() []Signature // valid or not
}

// File is metadata of a role other than root. It never changes; signing makes another.
type File struct {
	data, payload []byte
	made          bool // data holds nothing but the payload and the signatures
	kind          string
	version       int64
	expires       time.Time
	signatures    []Signature
	good          verified
}

// Bytes returns the document as it was read or made. The caller must not change it.
func (f *File) Bytes() []byte { return f.data }

// Payload returns the canonical bytes that the signatures cover. The caller must not change it.
func (f *File) Payload() []byte { return f.payload }

// Type returns the _type of the document: RoleTargets, also for a delegated role, RoleSnapshot or RoleTimestamp.
func (f *File) Type() string { return f.kind }

// Version returns the number of the document among those of its role, from 1.
func (f *File) Version() int64 { return f.version }

// Expires returns the time after which TUF clients refuse the document.
func (f *File) Expires() time.Time { return f.expires }

// Signatures returns the signatures that the document carries, valid or not.
func (f *File) Signatures() []Signature { return slices.Clone(f.signatures) }

// Progress counts the signatures by keys of role.
func (f *File) Progress(role Role) Progress { return role.progress(f.payload, f.signatures, f.good) }

// Sign returns f with the signature of a key of role, after checking it. What is signed is the canonical form of a
// document that this package made or parsed. A signer's own errors are returned as they are; a foreign key is
// ipc.PermissionDenied.
func (f *File) Sign(ctx context.Context, signer keys.Signer, role Role) (*File, error) {
	i := slices.IndexFunc(role.Keys, func(k Key) bool { return bytes.Equal(k.Public, signer.PublicKey()) })
	if i < 0 {
		return nil, ipc.Errorf(ipc.PermissionDenied, "key %x is not in the role", []byte(signer.PublicKey()))
	}
	if len(f.payload) > MaxPayload {
		return nil, ipc.Errorf(ipc.TooLarge, "cannot sign %s metadata of %d bytes: an ssh-agent takes %d", f.kind, len(f.payload), MaxPayload).
			WithHint("use more hash bins, so that each holds fewer targets")
	}
	sig, err := signer.Sign(ctx, f.payload)
	if err != nil {
		return nil, err
	}
	return f.AddSignature(role, Signature{KeyID: role.Keys[i].ID, Sig: sig})
}

// AddSignature returns f with a signature that was made elsewhere; one by the same key is replaced. It is checked first:
// ipc.PermissionDenied if it is by a key outside role, ipc.BadRequest if it does not verify.
func (f *File) AddSignature(role Role, sig Signature) (*File, error) {
	i := slices.IndexFunc(role.Keys, func(k Key) bool { return k.ID == sig.KeyID })
	if i < 0 {
		return nil, ipc.Errorf(ipc.PermissionDenied, "key %.64s is not in the role", sig.KeyID)
	}
	if err := role.Keys[i].verify(f.payload, sig.Sig); err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "cannot add signature: %w", err)
	}
	next := *f
	next.signatures, next.good = placeSignature(f.signatures, sig), f.good.with(sig)
	var err error
	if f.made { // a snapshot is too large to be read just for that
		next.data, err = writeDocument(map[string]json.RawMessage{"signed": f.payload}, writeSignatures(next.signatures))
	} else {
		next.data, err = withSignature(f.data, sig)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot add signature: %w", err)
	}
	return &next, nil
}

// placeSignature does to the list what withSignature does to the file.
func placeSignature(list []Signature, sig Signature) []Signature {
	list = slices.Clone(list)
	if i := slices.IndexFunc(list, func(s Signature) bool { return s.KeyID == sig.KeyID }); i >= 0 {
		list[i] = sig
		return list
	}
	return append(list, sig)
}

// verified remembers which signatures of one payload have been checked, as counting two hundred takes time.
type verified map[string]bool

func (v verified) holds(s Signature) bool { return v[s.KeyID+string(s.Sig)] }

func (v verified) with(s Signature) verified {
	next := make(verified, len(v)+1)
	for k := range v {
		next[k] = true
	}
	next[s.KeyID+string(s.Sig)] = true
	return next
}

// newFile makes an unsigned document of a payload, which is canonical and JSON.
func newFile(kind string, payload []byte, version int64, expires time.Time) (*File, error) {
	if version < 1 || version > maxInteger {
		return nil, fmt.Errorf("cannot make %s metadata: version %d", kind, version)
	}
	data := slices.Concat([]byte("{\"signatures\":[],\"signed\":"), payload, []byte("}"))
	return &File{data: data, payload: payload, made: true, kind: kind, version: version, expires: expires}, nil
}

// stamp is the form in which TUF writes times.
func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

// meta is what snapshot and timestamp say about other documents, by file name.
type meta map[string]struct {
	Version int64 `json:"version"`
}

// readFile reads what the documents of all roles have in common, and the versions that some name: a snapshot is too large to
// be read twice.
func readFile(data []byte, kind string) (*File, meta, error) {
	var head struct {
		Signed struct {
			Type        string    `json:"_type"`
			SpecVersion string    `json:"spec_version"`
			Version     int64     `json:"version"`
			Expires     time.Time `json:"expires"`
			Meta        meta      `json:"meta"`
		} `json:"signed"`
		Signatures []metadata.Signature `json:"signatures"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, nil, err
	}
	f := &File{data: data, kind: head.Signed.Type, version: head.Signed.Version, expires: head.Signed.Expires}
	switch {
	case f.kind != kind:
		return nil, nil, fmt.Errorf("it is of type %.40q, not %s", f.kind, kind)
	case !strings.HasPrefix(head.Signed.SpecVersion, "1."):
		return nil, nil, fmt.Errorf("TUF specification %.20q is not supported", head.Signed.SpecVersion)
	case f.version < 1:
		return nil, nil, fmt.Errorf("version %d", f.version)
	case f.expires.Nanosecond() != 0 || f.expires.Location() != time.UTC:
		return nil, nil, errors.New("the date of expiry is not UTC in whole seconds")
	case len(head.Signatures) > maxEntries:
		return nil, nil, fmt.Errorf("%d signatures, the limit is %d", len(head.Signatures), maxEntries)
	}
	var err error
	f.signatures, err = readSignatures(head.Signatures)
	return f, head.Signed.Meta, err
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
