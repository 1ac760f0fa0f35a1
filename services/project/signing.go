package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

// SigningRef is the ref, not namespaced, whose history is the record of how the identity's versions were signed.
const SigningRef = "refs/rad/signing"

// Files of a commit of the record.
const (
	stepFile    = "step"
	pendingFile = "root.json"
)

// What can happen to the next version of an identity document.
const (
	StepPending   = "pending"   // it was proposed
	StepSigned    = "signed"    // somebody has signed it
	StepReplaced  = "replaced"  // another one was put in its place
	StepCancelled = "cancelled" // it was given up
	StepPublished = "published" // enough have signed it: it is the project's identity now
)

var stepKinds = []string{StepPending, StepSigned, StepReplaced, StepCancelled, StepPublished}

// Step is one step of the signing of an identity document. It is stored and published in the same form; see the package
// documentation.
type Step struct {
	Kind      string    `cbor:"0,keyasint"`           // StepPending and so on
	Project   []byte    `cbor:"1,keyasint"`           // URN.Bytes
	Peer      peer.ID   `cbor:"2,keyasint"`           // whose daemon took the step
	Version   int64     `cbor:"3,keyasint"`           // of the document
	Digest    []byte    `cbor:"4,keyasint"`           // SHA-256 of what is, or was, to be signed
	Expires   time.Time `cbor:"5,keyasint"`           // when the document does
	Since     time.Time `cbor:"6,keyasint"`           // when it was proposed, or put in the place of another
	Key       peer.ID   `cbor:"7,keyasint,omitempty"` // StepSigned: who has
	Signed    int       `cbor:"8,keyasint"`           // delegates of this version who have signed so far
	Threshold int       `cbor:"9,keyasint"`           // how many of them it takes
}

// maxStep is the size in bytes above which a step is not read.
const maxStep = 1024

// DecodeStep reads a step strictly. Errors have code ipc.Corrupt.
func DecodeStep(data []byte) (Step, error) {
	var s Step
	if len(data) > maxStep {
		return s, ipc.Errorf(ipc.Corrupt, "step of a signing: %d bytes, the limit is %d", len(data), maxStep)
	}
	if err := ipc.Unmarshal(data, &s); err != nil {
		return s, ipc.Errorf(ipc.Corrupt, "step of a signing: %w", err)
	}
	if err := s.check(); err != nil {
		return Step{}, ipc.Errorf(ipc.Corrupt, "step of a signing: %w", err)
	}
	return s, nil
}

func (s Step) check() error {
	switch {
	case !slices.Contains(stepKinds, s.Kind):
		return fmt.Errorf("kind %q", clip(s.Kind))
	case len(s.Project) != len(OID{}) || len(s.Digest) != 32 || s.Version < 1 || s.Signed < 0 || s.Threshold < 1:
		return errors.New("a number or a length is out of range")
	}
	if s.Key != "" {
		if _, err := peer.Parse(string(s.Key)); err != nil {
			return err
		}
	}
	_, err := peer.Parse(string(s.Peer))
	return err
}

// Desk is where the next version of a project's identity is signed, as it was when somebody looked.
type Desk struct {
	Identity Identity
	Process  trust.Process
	Since    time.Time // when what waits for signatures was proposed
	// Torn says that the identity has moved on to the version that the record still has as waiting: the transaction
	// that moved both was cut off. The process is idle then, and whoever records the next step completes it.
	Torn *Step
	// IdentityTip and SigningTip are the commits that the two refs named.
	IdentityTip, SigningTip OID
}

// roleName is what an identity document is called where a repository of TUF has roles.
const roleName = "identity"

// Pending tells who has signed what waits, and who is missing. Something must wait for signatures.
func (d Desk) Pending() trust.PendingRole { return d.Process.Pending(roleName, d.Since) }

// Waiting lists the projects whose next version waits for signatures. It only looks: it needs no daemon, and starts git
// only for what git has packed. Those that cannot be read give an error beside the others.
func (s Store) Waiting(ctx context.Context) ([]Desk, error) {
	urns, failed := s.List()
	var list []Desk
	for _, urn := range urns {
		r := Repository{URN: urn, Dir: s.Path(urn)}
		if !r.hasRecord() {
			continue
		}
		d, err := r.Desk(ctx)
		if err != nil {
			failed = errors.Join(failed, err)
		} else if d.Process.Document() != nil {
			list = append(list, d)
		}
	}
	return list, failed
}

// SigningTip returns the newest commit of the record, zero if there is none.
func (r Repository) SigningTip(ctx context.Context) (OID, error) {
	if !r.hasRecord() {
		return OID{}, nil
	}
	return r.Ref(ctx, SigningRef)
}

// hasRecord reports whether the record has been begun: most projects have none, and no process is worth finding that out.
func (r Repository) hasRecord() bool {
	if _, err := os.Lstat(filepath.Join(r.Dir, filepath.FromSlash(SigningRef))); err == nil {
		return true
	}
	packed, err := os.ReadFile(filepath.Join(r.Dir, "packed-refs"))
	return err == nil && bytes.Contains(packed, []byte(" "+SigningRef+"\n"))
}

// Desk reads the identity, verified, and what waits for signatures.
func (r Repository) Desk(ctx context.Context) (Desk, error) {
	// The record first: a transaction moves the identity before it, so that what follows is never older.
	tip, err := r.SigningTip(ctx)
	if err != nil {
		return Desk{}, err
	}
	identity, at, err := r.IdentityAndTip(ctx)
	if err != nil {
		return Desk{}, err
	}
	d := Desk{Identity: identity, IdentityTip: at, SigningTip: tip}
	var pending []byte
	if !tip.IsZero() {
		objects := r.reader(ctx)
		defer objects.Close()
		if pending, err = r.readPending(objects, &d); err != nil {
			return Desk{}, ipc.Errorf(ipc.CodeOf(err), "project %s: %s: %w", r.URN, SigningRef, err).
				WithHint("nothing depends on that record but what waits for signatures: git --git-dir=" + r.Dir + " update-ref -d " + SigningRef + " drops both")
		}
	}
	d.Process, err = identity.Signing(pending)
	return d, err
}

// readPending returns the document that the newest commit of the record holds.
func (r Repository) readPending(objects *objectReader, d *Desk) ([]byte, error) {
	files, _, err := objects.files(d.SigningTip)
	if err != nil {
		return nil, err
	}
	_, step, err := r.readStep(objects, files)
	if err != nil {
		return nil, err
	}
	blob, waits := files[pendingFile]
	if !waits {
		return nil, nil
	}
	if step.Version <= d.Identity.Version {
		d.Torn = &step
		return nil, nil
	}
	d.Since = step.Since
	return objects.read(blob, kindBlob)
}

func (r Repository) readStep(objects *objectReader, files map[string]OID) ([]byte, Step, error) {
	data, err := objects.read(files[stepFile], kindBlob)
	if err != nil {
		return nil, Step{}, err
	}
	step, err := DecodeStep(data)
	if err == nil && string(step.Project) != string(r.URN.Bytes()) {
		err = ipc.Errorf(ipc.Corrupt, "it records the signing of another project, %x", step.Project)
	}
	return data, step, err
}

// WriteStep writes one commit of the record and waits until the disk has it: it follows parent, and holds what waits for
// signatures after the step, nil for nothing. It moves no ref.
func (r Repository) WriteStep(_ context.Context, step Step, parent OID, waits trust.Document, at time.Time) (OID, error) {
	data, err := ipc.Marshal(step)
	if err != nil {
		return OID{}, fmt.Errorf("cannot record a signing of project %s: %w", r.URN, err)
	}
	files := map[string][]byte{stepFile: data}
	if waits != nil {
		files[pendingFile] = waits.Bytes()
	}
	message := fmt.Sprintf("identity version %d: %s", step.Version, step.Kind)
	return r.writeDurably(files, commit{parents: parentsOf(parent), author: string(step.Peer), at: at, message: message})
}

// WriteIdentity writes one commit of refs/rad/id, which follows parent, and waits until the disk has it. It moves no ref.
func (r Repository) WriteIdentity(_ context.Context, id Identity, parent OID, at time.Time) (OID, error) {
	return r.writeDurably(identityCommit(id, parent, at))
}

// writeDurably writes a commit with a tree of plain files and waits until the disk has all of it.
func (r Repository) writeDurably(files map[string][]byte, c commit) (OID, error) {
	oid, paths, err := looseObjects{r.objects()}.writeCommit(files, c)
	if err == nil {
		err = syncAll(append(paths, r.objects()))
	}
	if err != nil {
		return OID{}, fmt.Errorf("project %s: %w", r.URN, err)
	}
	return oid, nil
}

// RecordedStep is a step with its place in the record.
type RecordedStep struct {
	Step
	Commit OID
	Data   []byte // as it is stored
}

// Steps returns what the record says between two of its commits, oldest first: after (not with it; zero for the beginning)
// and tip. A record without after is returned from its beginning.
func (r Repository) Steps(ctx context.Context, after, tip OID) ([]RecordedStep, error) {
	objects := r.reader(ctx)
	defer objects.Close()
	var steps []RecordedStep
	for at := tip; at != after && !at.IsZero(); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		files, parents, err := objects.files(at)
		if err != nil {
			return nil, err
		}
		data, step, err := r.readStep(objects, files)
		if err != nil {
			return nil, fmt.Errorf("project %s: %s: %w", r.URN, SigningRef, err)
		}
		steps = append(steps, RecordedStep{step, at, data})
		at = OID{}
		if len(parents) > 0 {
			at = parents[0]
		}
	}
	slices.Reverse(steps)
	return steps, nil
}
