package trustd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/lnk-suite/lnk/services/trust"
)

// signers is how many signatures are asked for at once: an agent works on one at a time, the way there takes as long.
const signers = 4

// signedRole is a document on its way to the judge.
type signedRole struct {
	name string
	data []byte
}

// issue has the new documents signed, judged and written. Neither the judge nor the disk waits for the last signature, and
// the documents of thousands of roles are never all in memory: timestamp, snapshot and targets name versions only, so they
// are signed and judged first.
func (e *edit) issue(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	head, below := make(chan trust.Publication, 1), make(chan signedRole, signers)
	if e.timestamp != nil {
		work.Go(func() error { return e.sign(ctx, head, below) })
	} else {
		close(head)
	}
	work.Go(func() error { return e.judge(head, below) })
	return work.Wait()
}

// sign signs and writes everything. Every signature is in the audit log before any of them is used.
func (e *edit) sign(ctx context.Context, head chan<- trust.Publication, below chan<- signedRole) error {
	defer close(head)
	defer close(below)
	online := &onlineSigner{r: e.r, by: e.by, role: e.root.Role(trust.RoleTimestamp)}
	if err := online.find(ctx); err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(signers)
	work.Go(func() error { return e.signHead(ctx, online, head) })
	for _, role := range e.below {
		if ctx.Err() != nil {
			break
		}
		work.Go(func() error { return e.signBelow(ctx, online, role, below) })
	}
	return errors.Join(work.Wait(), online.record())
}

func (e *edit) signBelow(ctx context.Context, online *onlineSigner, role string, below chan<- signedRole) error {
	doc, err := e.document(role)
	if err != nil {
		return err
	}
	file := doc.File
	if e.change.people[role] == nil {
		if file, err = online.sign(ctx, role, file); err != nil {
			return fmt.Errorf("role %s: %w", role, err)
		}
	}
	select {
	case below <- signedRole{role, file.Bytes()}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return e.files.add(versioned(role, file.Version()), file.Bytes())
}

// signHead signs what names the others.
func (e *edit) signHead(ctx context.Context, online *onlineSigner, head chan<- trust.Publication) error {
	docs := map[string]*trust.File{trust.RoleTimestamp: e.timestamp}
	if e.snapshot != nil {
		docs[trust.RoleSnapshot] = e.snapshot
	}
	if e.top != nil {
		docs[trust.RoleTargets] = e.top.File
	}
	if err := online.signAll(ctx, docs); err != nil {
		return err
	}
	if e.rotates {
		if err := e.signByOld(ctx, docs); err != nil {
			return err
		}
	}
	e.timestamp, e.snapshot = docs[trust.RoleTimestamp], docs[trust.RoleSnapshot]
	if e.top != nil {
		e.top = e.top.With(docs[trust.RoleTargets])
	}
	p, err := e.publication()
	if err != nil {
		return err
	}
	head <- p
	delete(docs, trust.RoleTimestamp) // timestamp.json has its turn when everything else is there
	for name, doc := range docs {
		if err := e.files.add(versioned(name, doc.Version()), doc.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// signByOld adds the signatures of the online key that is on its way out, so that clients which have not seen the new root
// yet accept the new timestamp: then there is no moment at which nobody can. If that key is gone, so be it.
func (e *edit) signByOld(ctx context.Context, docs map[string]*trust.File) error {
	old := &onlineSigner{r: e.r, by: e.by, role: e.r.root.Role(trust.RoleTimestamp)}
	err := old.find(ctx)
	both := maps.Clone(docs)
	if err == nil {
		err = errors.Join(old.signAll(ctx, both), old.record())
	}
	if isNoKey(err) {
		return nil
	}
	if err != nil {
		return err
	}
	maps.Copy(docs, both)
	e.handover = true
	return nil
}

// publication is what clients are about to find, but for the roles below targets.
func (e *edit) publication() (p trust.Publication, err error) {
	p.Timestamp = e.timestamp.Bytes()
	if e.top != nil {
		p.Targets = e.top.Bytes()
	} else {
		p.Targets = e.r.edition.targets.Bytes()
	}
	if e.snapshot != nil {
		p.Snapshot = e.snapshot.Bytes()
		return p, nil
	}
	p.Snapshot, err = os.ReadFile(e.r.folder.metadata(versioned(trust.RoleSnapshot, e.r.edition.snapshot.Version)))
	return p, err
}

// judge hears go-tuf, as a client that has the root before and as one that has this one.
func (e *edit) judge(head <-chan trust.Publication, below <-chan signedRole) error {
	old, err := e.passGates()
	if err != nil {
		return err
	}
	p, ok := <-head
	if !ok { // only root is new, or what failed is told already
		return nil
	}
	p.Delegated = func(yield func(string, []byte) bool) {
		for role := range below {
			if !yield(role.name, role.data) {
				return
			}
		}
	}
	if err := e.gate.Judge(p, e.now); err != nil {
		return err
	}
	if e.handover && e.r.root.Expires().After(e.now) {
		p.Delegated = nil
		return old.Judge(p, e.now)
	}
	return nil
}

// passGates has go-tuf trust the root, after the one before if that is another.
func (e *edit) passGates() (old *trust.Gate, err error) {
	if e.first {
		e.gate, err = trust.NewGate(e.root)
		return nil, err
	}
	if old, err = e.r.standing(); err != nil {
		return nil, err
	}
	e.gate = old
	if e.change.root != nil {
		e.gate, err = old.Next(e.root)
	}
	return old, err
}

// standing returns go-tuf with the published root. It is kept, as go-tuf checks a quorum of hundreds for a long time.
func (r *repository) standing() (_ *trust.Gate, err error) {
	if r.gate == nil {
		r.gate, err = trust.NewGate(r.root)
	}
	return r.gate, err
}
