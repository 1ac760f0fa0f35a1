package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// What a Process refuses, as found in the chain of its errors. Their codes are ipc.BadRequest unless another is given.
var (
	ErrPending    = errors.New("a version is being signed already")                     // ipc.Conflict
	ErrIdle       = errors.New("nothing waits for signatures")                          // ipc.NotFound
	ErrReplaced   = errors.New("what waits for signatures was replaced meanwhile")      // ipc.Conflict
	ErrUnchanged  = errors.New("it says the same as what waits for signatures already") // ipc.AlreadyExists
	ErrIncomplete = errors.New("signatures are missing")                                // ipc.Conflict
	ErrVersion    = errors.New("it is not the version that comes next")
	ErrExpired    = errors.New("its date of expiry has passed")
	ErrUnsigned   = errors.New("nobody has signed it: a proposal takes one signature at least")
	ErrInvalid    = errors.New("one of its signatures counts for nobody")
)

// Process is how a quorum that never meets signs the next version of a document. A version is proposed by somebody who has
// signed it; others add their signatures when they can; it may be replaced, or given up; and it is complete when a
// threshold of the keys has signed: its own ones and, for a root, those of the version before.
//
// A Process is a value: a step returns another and changes nothing, so that whoever keeps it can store the new one
// whole, by compare-and-swap, or leave all as it was. trustd keeps processes in its state, a project in a ref.
type Process struct {
	base    *Root    // of a root: the version before, nil for the first
	by      Role     // of another document: who signs it
	version int64    // that comes next
	doc     Document // *Root or *Targets; nil if nothing waits for signatures
}

// RootProcess returns the process for the root that follows base, or for a first one if base is nil. pending is what waits
// for signatures, nil for nothing.
func RootProcess(base, pending *Root) Process {
	p := Process{base: base, version: 1}
	if base != nil {
		p.version = base.Version() + 1
	}
	if pending != nil {
		p.doc = pending
	}
	return p
}

// TargetsProcess returns the process for a targets document that a role of keys signs and that waits for signatures.
func TargetsProcess(by Role, pending *Targets) Process {
	return Process{by: by, version: pending.Version(), doc: pending}
}

// Document returns what waits for signatures, with those that it has; nil if nothing does.
func (p Process) Document() Document { return p.doc }

// Next returns the number of the version that is signed, or would be.
func (p Process) Next() int64 { return p.version }

// Digest is the SHA-256 of what is to be signed, in hexadecimal: it stands for the content whatever the signatures. It
// is empty if nothing is.
func (p Process) Digest() string {
	if p.doc == nil {
		return ""
	}
	return DigestOf(p.doc)
}

// DigestOf is the SHA-256 of what signatures of a document cover, in hexadecimal.
func DigestOf(doc Document) string {
	sum := sha256.Sum256(doc.Payload())
	return hex.EncodeToString(sum[:])
}

// Progress counts the signatures.
func (p Process) Progress() Signing {
	switch doc := p.doc.(type) {
	case *Root:
		return signingOf(doc, p.base)
	case *Targets:
		return Signing{Own: doc.Progress(p.by)}
	}
	return Signing{}
}

// Complete reports whether enough have signed.
func (p Process) Complete() bool { return p.doc != nil && p.Progress().Complete() }

// Propose begins with next. It must be the version that comes next, not have expired, and be signed by at least one key
// that counts and by none that does not. What is being signed is never replaced by it.
func (p Process) Propose(next Document, now time.Time) (Process, error) {
	if p.doc != nil {
		return Process{}, ipc.Errorf(ipc.Conflict, "cannot propose version %d: %w", next.Version(), ErrPending)
	}
	if err := p.suits(next, now); err != nil {
		return Process{}, err
	}
	return p.take(next)
}

// Override puts next in the place of what waits for signatures, and drops those. To next the same applies as for
// Propose, and it must say something else. match is the digest of what the caller saw pending: if that is not what is
// pending now, the answer is ErrReplaced. An empty match is the digest of anything.
func (p Process) Override(next Document, match string, now time.Time) (Process, error) {
	if err := p.check(match); err != nil {
		return Process{}, err
	}
	if err := p.suits(next, now); err != nil {
		return Process{}, err
	}
	if DigestOf(next) == p.Digest() {
		return Process{}, ipc.Errorf(ipc.AlreadyExists, "cannot replace version %d: %w", p.version, ErrUnchanged)
	}
	return p.take(next)
}

// Cancel gives up what waits for signatures; match is as for Override.
func (p Process) Cancel(match string) (Process, error) {
	if err := p.check(match); err != nil {
		return Process{}, err
	}
	p.doc = nil
	return p, nil
}

// Add adds a signature, in the place of one by the same key, and returns the key. One by a key that does not count is
// ipc.PermissionDenied, one that does not verify ipc.BadRequest. match is as for Override.
func (p Process) Add(sig Signature, match string) (Process, Key, error) {
	if err := p.check(match); err != nil {
		return Process{}, Key{}, err
	}
	candidates := p.by.Keys
	var err error
	switch doc := p.doc.(type) {
	case *Root:
		candidates = rootKeys(doc, p.base)
		p.doc, err = addSignature(doc, p.base, sig)
	case *Targets:
		var file *File
		if file, err = doc.AddSignature(p.by, sig); err == nil {
			p.doc = doc.With(file)
		}
	}
	if err != nil {
		return Process{}, Key{}, err
	}
	i := slices.IndexFunc(candidates, func(k Key) bool { return k.ID == sig.KeyID })
	return p, candidates[i], nil
}

// Finish returns what is signed by enough and has not expired meanwhile: it may be published.
func (p Process) Finish(now time.Time) (Document, error) {
	switch {
	case p.doc == nil:
		return nil, ipc.Errorf(ipc.NotFound, "%w", ErrIdle)
	case !p.Complete():
		return nil, ipc.Errorf(ipc.Conflict, "version %d: %w, not signed by %s", p.version, ErrIncomplete, strings.Join(p.missing(), ", "))
	}
	return p.doc, p.fresh(p.doc, now)
}

func (p Process) missing() (names []string) {
	for _, s := range p.Signers() {
		if !s.Signed {
			names = append(names, string(s.Peer))
		}
	}
	return names
}

// Signers lists whose signatures matter: those who count for the version before first. Those of a root have the names that it
// gives them.
func (p Process) Signers() []Signer {
	var list []Signer
	var called map[string]string
	if root, ok := p.doc.(*Root); ok {
		called = names(p.base, root)
	}
	progress := p.Progress()
	if progress.Previous != nil {
		list = addSigners(list, *progress.Previous, called, func(s *Signer) { s.Old = true })
	}
	return addSigners(list, progress.Own, called, func(s *Signer) { s.New = true })
}

// Pending tells where the process stands; role is what its document is called, since when it was proposed. Something must
// wait for signatures.
func (p Process) Pending(role string, since time.Time) PendingRole {
	progress := p.Progress()
	d := PendingRole{Role: role, Version: p.doc.Version(), Digest: p.Digest(), Since: since, Needed: progress.Own.Threshold, Signers: p.Signers()}
	if progress.Previous != nil {
		d.Before = progress.Previous.Threshold
	}
	return d
}

func addSigners(list []Signer, p Progress, called map[string]string, mark func(*Signer)) []Signer {
	add := func(k Key, signed bool) {
		id, err := peer.FromPublicKey(k.Public)
		if err != nil {
			return // cannot be: keys are checked on admission
		}
		i := slices.IndexFunc(list, func(s Signer) bool { return s.Peer == id })
		if i < 0 {
			list = append(list, Signer{Peer: id, KeyID: k.ID, Name: called[k.ID]})
			i = len(list) - 1
		}
		list[i].Signed = list[i].Signed || signed
		mark(&list[i])
	}
	for _, k := range p.Signed {
		add(k, true)
	}
	for _, k := range p.Missing {
		add(k, false)
	}
	return list
}

// check refuses to go on with anything but what the caller saw.
func (p Process) check(match string) error {
	if p.doc == nil {
		return ipc.Errorf(ipc.NotFound, "%w", ErrIdle)
	}
	if match != "" && match != p.Digest() {
		return ipc.Errorf(ipc.Conflict, "%w: its digest is %s, not %.64s", ErrReplaced, p.Digest(), match)
	}
	return nil
}

func (p Process) suits(next Document, now time.Time) error {
	if next.Version() != p.version {
		return ipc.Errorf(ipc.BadRequest, "version %d: %w, which is %d", next.Version(), ErrVersion, p.version)
	}
	return p.fresh(next, now)
}

func (p Process) fresh(doc Document, now time.Time) error {
	if doc.Expires().After(now) {
		return nil
	}
	return ipc.Errorf(ipc.BadRequest, "version %d: %w: it was %s", doc.Version(), ErrExpired, doc.Expires().Format(time.RFC3339))
}

// take makes next what waits for signatures, if those that it brings are one at least and all good.
func (p Process) take(next Document) (Process, error) {
	if len(next.Signatures()) == 0 {
		return Process{}, ipc.Errorf(ipc.BadRequest, "version %d: %w", next.Version(), ErrUnsigned)
	}
	p.doc = next
	progress := p.Progress()
	good := progress.Own.Signed
	if progress.Previous != nil {
		good = slices.Concat(good, progress.Previous.Signed)
	}
	for _, sig := range next.Signatures() {
		if !slices.ContainsFunc(good, func(k Key) bool { return k.ID == sig.KeyID }) {
			return Process{}, ipc.Errorf(ipc.BadRequest, "version %d, key %.64s: %w", next.Version(), sig.KeyID, ErrInvalid)
		}
	}
	return p, nil
}
