package project

import (
	"context"
	"errors"
	"fmt"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// Parts of a project that Verify can find fault with.
const (
	PartIdentity = "identity"    // the chain of identity documents, or a signed set that names none of them
	PartSigned   = "signed refs" // a commit of the chain: object, content, signature, or the place it lies in
	PartSequence = "sequence"    // numbers that do not follow one another
	PartRefs     = "refs"        // a ref that is not where the peer signed that it is
)

// Fault is one thing that is wrong.
type Fault struct {
	Part    string
	Ref     string // for PartRefs, relative to the peer's namespace
	Message string
}

// Report says what Verify checked and what was wrong. A project is in order if Faults is empty.
type Report struct {
	URN      URN
	Peer     peer.ID
	Identity Identity // zero if it is at fault
	Tip      OID      // commit of the newest signed refs
	Seq      uint64   // sequence number of the newest signed refs
	Verified int      // signed refs whose signature is good, back to the first
	Refs     int      // refs that are where the peer signed that they are
	Faults   []Fault
}

// Err returns nil, or all faults as one error with code ipc.Corrupt.
func (r Report) Err() error {
	var errs []error
	for _, f := range r.Faults {
		errs = append(errs, fmt.Errorf("%s: %s", f.Part, f.Message))
	}
	if len(errs) == 0 {
		return nil
	}
	return ipc.Errorf(ipc.Corrupt, "project %s, peer %s: %w", r.URN, r.Peer, errors.Join(errs...))
}

func (r *Report) fault(part, ref string, format string, args ...any) {
	r.Faults = append(r.Faults, Fault{part, ref, fmt.Sprintf(format, args...)})
}

// Verify checks what is stored of a peer: the chain of identity documents from the URN on, every signed set of refs back
// to the first (signature, project, peer, sequence number, parent, known identity document, never an older one than
// before), and that the refs in the peer's namespace are exactly the newest signed ones. It returns an error only if it
// could not look; what it found wrong is in the report. It takes time in proportion to the number of pushes.
func (r Repository) Verify(ctx context.Context, id peer.ID) (Report, error) {
	report := Report{URN: r.URN, Peer: id}
	identity, err := r.Identity(ctx)
	if err := report.note(PartIdentity, err); err != nil {
		return report, err
	}
	report.Identity = identity
	newest, err := r.verifySigned(ctx, &report)
	if err != nil {
		return report, err
	}
	actual, err := r.Refs(ctx, id)
	if err := report.note(PartRefs, err); err != nil {
		return report, err
	}
	report.compare(newest.Refs, actual)
	return report, nil
}

// note takes what is a finding into the report and gives back what is not.
func (r *Report) note(part string, err error) error {
	if code := ipc.CodeOf(err); err != nil && (code == ipc.Corrupt || code == ipc.NotFound || code == ipc.TooLarge) {
		r.fault(part, "", "%v", err)
		return nil
	}
	return err
}

// verifySigned walks the chain back to its first commit and returns the newest set.
func (r Repository) verifySigned(ctx context.Context, report *Report) (newest SignedRefs, err error) {
	tip, err := r.Ref(ctx, SignedRefsRef(report.Peer))
	if err != nil {
		return newest, report.note(PartSigned, err)
	}
	if tip.IsZero() {
		report.fault(PartSigned, "", "peer %s has no signed refs here: nothing was pushed yet, or it is gone", report.Peer)
		return newest, nil
	}
	report.Tip = tip
	objects := r.reader(ctx)
	defer objects.Close()
	var after *Signed
	for at := tip; !at.IsZero(); at = after.Parent {
		if err := ctx.Err(); err != nil {
			return newest, err
		}
		s, err := r.readSigned(objects, report.Peer, at)
		if err != nil {
			return newest, report.note(PartSigned, fmt.Errorf("%w; nothing before it was checked", err))
		}
		if after == nil {
			newest, report.Seq = s.SignedRefs, s.Seq
		}
		report.Verified++
		report.checkStep(s, after)
		after = &s
	}
	return newest, nil
}

// checkStep compares one signed set with the one after it (nil for the newest).
func (r *Report) checkStep(s Signed, after *Signed) {
	if after != nil && after.Seq != s.Seq+1 {
		r.fault(PartSequence, "", "number %d follows number %d", after.Seq, s.Seq)
	}
	if r.Identity.Version == 0 {
		return
	}
	version := r.Identity.knows(s.Identity)
	if version == 0 {
		r.fault(PartIdentity, "", "signed refs %d name identity document %s, which is not in the chain", s.Seq, s.Identity)
	} else if after != nil && r.Identity.knows(after.Identity) < version {
		r.fault(PartIdentity, "", "signed refs %d name an older identity document than those before them", after.Seq)
	}
}

// compare names every ref that is not as signed.
func (r *Report) compare(signed, actual map[string]OID) {
	for _, c := range Diff(signed, actual) {
		switch {
		case c.Old.IsZero():
			r.fault(PartRefs, c.Ref, "%s is here at %s, but not signed", c.Ref, c.New)
		case c.New.IsZero():
			r.fault(PartRefs, c.Ref, "%s is signed at %s, but missing", c.Ref, c.Old)
		default:
			r.fault(PartRefs, c.Ref, "%s is signed at %s, but is at %s", c.Ref, c.Old, c.New)
		}
	}
	for ref, oid := range signed {
		if actual[ref] == oid {
			r.Refs++
		}
	}
}
