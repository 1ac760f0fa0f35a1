package project

import (
	"context"
	"fmt"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// Files of a signed refs commit.
const (
	refsFile      = "refs"
	signatureFile = "signature"
)

// WriteSignedRefs writes the four objects of a signed refs commit and returns the commit: the same signed refs at the
// same date always give the same one. It moves no ref; that is for the transaction that moves the refs it speaks of.
func (r Repository) WriteSignedRefs(_ context.Context, s Signed, at time.Time) (OID, error) {
	if s.URN != r.URN || s.data == nil {
		return OID{}, ipc.Errorf(ipc.BadRequest, "cannot write signed refs of project %q into %s", s.URN, r.URN)
	}
	c := commit{parents: parentsOf(s.Parent), author: string(s.Peer), at: at, message: fmt.Sprintf("signed refs %d", s.Seq)}
	tip, _, err := looseObjects{r.objects()}.writeCommit(map[string][]byte{refsFile: s.data, signatureFile: s.signature}, c)
	if err != nil {
		return OID{}, fmt.Errorf("cannot write signed refs of project %s: %w", r.URN, err)
	}
	return tip, nil
}

// SignedRefs returns the newest signed refs of a peer and their commit, verified by themselves: signature, project,
// peer. What came before them is for Verify. A peer that has none is ipc.NotFound.
func (r Repository) SignedRefs(ctx context.Context, id peer.ID) (Signed, OID, error) {
	tip, err := r.Ref(ctx, SignedRefsRef(id))
	if err != nil {
		return Signed{}, OID{}, err
	}
	if tip.IsZero() {
		return Signed{}, OID{}, ipc.Errorf(ipc.NotFound, "peer %s has no signed refs in project %s", id, r.URN)
	}
	s, err := r.SignedRefsAt(ctx, id, tip)
	return s, tip, err
}

// SignedRefsAt returns the signed refs of a peer that a commit holds, verified like those of SignedRefs. Their Parent
// names the commit before it, so that a caller can walk back as far as it wants.
func (r Repository) SignedRefsAt(ctx context.Context, id peer.ID, at OID) (Signed, error) {
	objects := r.reader(ctx)
	defer objects.Close()
	s, err := r.readSigned(objects, id, at)
	if err != nil {
		return Signed{}, fmt.Errorf("signed refs of %s in project %s: %w", id, r.URN, err)
	}
	return s, nil
}

func (r Repository) readSigned(objects *objectReader, id peer.ID, at OID) (Signed, error) {
	files, parents, err := objects.files(at)
	if err != nil {
		return Signed{}, err
	}
	if _, ok := files[refsFile]; !ok || len(files) != 2 || files[signatureFile].IsZero() {
		return Signed{}, ipc.Errorf(ipc.Corrupt, "commit %s: its tree is not refs and signature", at)
	}
	data, err := objects.read(files[refsFile], kindBlob)
	if err != nil {
		return Signed{}, err
	}
	signature, err := objects.read(files[signatureFile], kindBlob)
	if err != nil {
		return Signed{}, err
	}
	s, err := VerifySignedRefs(data, signature)
	if err != nil {
		return Signed{}, fmt.Errorf("commit %s: %w", at, err)
	}
	return s, r.checkPlace(s, id, at, parents)
}

// checkPlace refuses signed refs that are genuine but lie where they do not belong.
func (r Repository) checkPlace(s Signed, id peer.ID, at OID, parents []OID) error {
	switch {
	case s.URN != r.URN:
		return ipc.Errorf(ipc.Corrupt, "commit %s: it holds signed refs of project %s", at, s.URN)
	case s.Peer != id:
		return ipc.Errorf(ipc.Corrupt, "commit %s: it holds signed refs of peer %s", at, s.Peer)
	case len(parents) > 1 || len(parents) == 1 && parents[0] != s.Parent || len(parents) == 0 && !s.Parent.IsZero():
		return ipc.Errorf(ipc.Corrupt, "commit %s: its parents are %v, the signed parent is %s", at, parents, s.Parent)
	}
	return nil
}
