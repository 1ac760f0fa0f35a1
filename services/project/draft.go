package project

import (
	"context"
	"fmt"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

// Draft is a version of an identity document that delegates are signing. Each may sign a copy of their own, when they
// can: the copies are merged. It never changes; signing makes another.
type Draft struct {
	base []*trust.Root // the versions before
	root *trust.Root
}

// NewIdentity drafts the first version of a project's identity document. Its URN is known once it is finished: a
// signature more makes another document, and so another project.
func NewIdentity(spec Spec) (Draft, error) {
	root, err := spec.newRoot(1)
	if err != nil {
		return Draft{}, ipc.Errorf(ipc.BadRequest, "cannot draft identity: %w", err)
	}
	return Draft{root: root}, nil
}

// Next drafts the version that follows i.
func (i Identity) Next(spec Spec) (Draft, error) {
	root, err := spec.newRoot(i.Version + 1)
	if err != nil {
		return Draft{}, ipc.Errorf(ipc.BadRequest, "cannot draft version %d of the identity: %w", i.Version+1, err)
	}
	return Draft{base: i.roots, root: root}, nil
}

// ParseDraft reads a draft that came from elsewhere: a first version if after is nil, else the version that follows it.
func ParseDraft(data []byte, after *Identity) (Draft, error) {
	root, err := trust.ParseRoot(data)
	if err != nil {
		return Draft{}, fmt.Errorf("identity document: %w", err)
	}
	d := Draft{root: root}
	if after != nil {
		d.base = after.roots
	}
	if want := int64(len(d.base) + 1); root.Version() != want {
		return Draft{}, ipc.Errorf(ipc.Conflict, "identity document has version %d, the next is %d", root.Version(), want)
	}
	if _, err := readSpec(root); err != nil {
		return Draft{}, ipc.Errorf(ipc.Corrupt, "identity document: %w", err)
	}
	return d, nil
}

// Bytes returns the document with the signatures that it has so far. The caller must not change it.
func (d Draft) Bytes() []byte { return d.root.Bytes() }

func (d Draft) previous() *trust.Root {
	if len(d.base) == 0 {
		return nil
	}
	return d.base[len(d.base)-1]
}

// Sign adds a signature by a delegate of this version or of the one before; others are ipc.PermissionDenied.
func (d Draft) Sign(ctx context.Context, signer keys.Signer) (Draft, error) {
	root, err := trust.SignRoot(ctx, signer, d.root, d.previous())
	if err != nil {
		return Draft{}, err
	}
	return Draft{d.base, root}, nil
}

// Merge adds the signatures that another copy of the same draft carries. A copy that says something else is
// ipc.Conflict; a signature that does not verify is refused.
func (d Draft) Merge(other Draft) (Draft, error) {
	if !sameContent(d.root, other.root) {
		return Draft{}, ipc.Errorf(ipc.Conflict, "cannot merge signatures: the drafts of version %d differ", d.root.Version())
	}
	for _, sig := range other.root.Signatures() {
		root, err := trust.AddSignature(d.root, d.previous(), sig)
		if err != nil {
			return Draft{}, err
		}
		d.root = root
	}
	return d, nil
}

// Signed returns the delegates, of this version and of the one before, whose signatures the draft carries.
func (d Draft) Signed() []peer.ID {
	return d.collect(func(p trust.Progress) []trust.Key { return p.Signed })
}

// Missing returns the delegates who have not signed; not all of them may be needed.
func (d Draft) Missing() []peer.ID {
	return d.collect(func(p trust.Progress) []trust.Key { return p.Missing })
}

func (d Draft) collect(which func(trust.Progress) []trust.Key) []peer.ID {
	s := trust.SigningOf(d.root, d.previous())
	list := which(s.Own)
	if s.Previous != nil {
		list = append(list, which(*s.Previous)...)
	}
	var ids []peer.ID
	seen := make(map[peer.ID]bool, len(list))
	for _, k := range list {
		if id, err := peer.FromPublicKey(k.Public); err == nil && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// Complete reports whether the signatures suffice.
func (d Draft) Complete() bool { return trust.SigningOf(d.root, d.previous()).Complete() }

// Finish returns the identity that the draft makes, or ipc.Conflict and the names of those who have not signed. It lets
// an unmodified TUF client have a look as well.
func (d Draft) Finish() (Identity, error) {
	if !d.Complete() {
		var names []string
		for _, id := range d.Missing() {
			names = append(names, string(id))
		}
		return Identity{}, ipc.Errorf(ipc.Conflict, "version %d of the identity lacks signatures, not signed by %s", d.root.Version(), strings.Join(names, ", "))
	}
	files := make([][]byte, 0, len(d.base)+1)
	for _, r := range append(d.base[:len(d.base):len(d.base)], d.root) {
		files = append(files, r.Bytes())
	}
	id, err := VerifyChain(files)
	if err != nil {
		return Identity{}, err
	}
	return id, trust.Judge(id.roots)
}
