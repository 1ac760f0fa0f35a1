package gitd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/trust"
)

func (s *Server) showIdentity(ctx context.Context, args git.ProjectArgs) (git.Identity, error) {
	repo, err := s.named(ctx, args.Project)
	if err != nil {
		return git.Identity{}, err
	}
	desk, err := repo.disk.Desk(ctx)
	if err != nil {
		return git.Identity{}, err
	}
	result := git.Identity{URN: desk.Identity.URN, Documents: desk.Identity.Files()}
	if doc := desk.Process.Document(); doc != nil {
		pending := desk.Pending()
		result.Next, result.Pending = doc.Bytes(), &pending
	}
	return result, nil
}

// turn is a step that somebody wants to take: of a process it makes the next one, and says who has signed, if anybody.
type turn struct {
	kind string // project.StepPending and so on
	take func(p trust.Process, now time.Time) (trust.Process, peer.ID, error)
}

func (s *Server) proposeIdentity(ctx context.Context, args git.ProposeArgs) (git.IdentityResult, error) {
	document, err := readDocument(args.Document)
	if err != nil {
		return git.IdentityResult{}, err
	}
	return s.takeTurn(ctx, args.Project, turn{project.StepPending, func(p trust.Process, now time.Time) (trust.Process, peer.ID, error) {
		next, err := p.Propose(document, now)
		return next, "", err
	}})
}

func (s *Server) overrideIdentity(ctx context.Context, args git.OverrideArgs) (git.IdentityResult, error) {
	document, err := readDocument(args.Document)
	if err != nil {
		return git.IdentityResult{}, err
	}
	return s.takeTurn(ctx, args.Project, turn{project.StepReplaced, func(p trust.Process, now time.Time) (trust.Process, peer.ID, error) {
		next, err := p.Override(document, args.Match, now)
		return next, "", err
	}})
}

func (s *Server) signIdentity(ctx context.Context, args git.SignArgs) (git.IdentityResult, error) {
	return s.takeTurn(ctx, args.Project, turn{project.StepSigned, func(p trust.Process, _ time.Time) (trust.Process, peer.ID, error) {
		next, key, err := p.Add(trust.Signature{KeyID: args.KeyID, Sig: args.Signature}, args.Match)
		if err != nil {
			return next, "", err
		}
		id, err := peer.FromPublicKey(key.Public)
		return next, id, err
	}})
}

func (s *Server) cancelIdentity(ctx context.Context, args git.CancelArgs) (git.IdentityResult, error) {
	return s.takeTurn(ctx, args.Project, turn{project.StepCancelled, func(p trust.Process, _ time.Time) (trust.Process, peer.ID, error) {
		next, err := p.Cancel(args.Match)
		return next, "", err
	}})
}

func readDocument(data []byte) (*trust.Root, error) {
	document, err := project.ParseDocument(data)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	return document, nil
}

// maxTurns bounds how often a step is tried again because daemons of other peers were faster. Each time one of them has got
// on, so that only a crowd could use it up.
const maxTurns = 200

// takeTurn takes a step on what is stored at that moment, and publishes it.
func (s *Server) takeTurn(ctx context.Context, urn string, t turn) (git.IdentityResult, error) {
	repo, err := s.named(ctx, urn)
	if err != nil {
		return git.IdentityResult{}, err
	}
	release, err := repo.acquire(ctx)
	if err != nil {
		return git.IdentityResult{}, err
	}
	r, err := repo.revise(ctx, t)
	repo.state = nil // the identity may be another one
	release()
	if err != nil {
		return git.IdentityResult{}, err
	}
	if r.signer != "" {
		s.recordSignature(ctx, r)
	}
	if err := s.outbox.publishSteps(ctx, repo); err != nil {
		s.log.Warn("events are deferred", "project", repo.disk.URN, "err", err)
	}
	return r.result, nil
}

// recordSignature writes an audit line. The record in the repository is there whatever becomes of it.
func (s *Server) recordSignature(ctx context.Context, r *revision) {
	caller := "lnk-gitd: " + string(r.repo.disk.URN)
	if cred, ok := ipc.PeerFrom(ctx); ok && cred.PID > 0 {
		caller += fmt.Sprintf(" for process %d", cred.PID)
	}
	line := keys.AuditRecord{Time: r.at, Key: r.signer, Kind: "identity accepted", Digest: "sha256:" + r.result.Digest, Caller: caller}
	if err := s.audit.Append(line); err != nil {
		s.log.Warn("cannot record a signature", "project", r.repo.disk.URN, "err", err)
	}
}

// mendIdentity completes what was cut off, if anything was.
func (s *Server) mendIdentity(ctx context.Context, repo *repository) error {
	desk, err := repo.disk.Desk(ctx)
	if err != nil || desk.Torn == nil {
		return err
	}
	release, err := repo.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	_, err = repo.revise(ctx, turn{})
	repo.state = nil
	return err
}

// revise takes a step as often as it takes to be the first. Before that it completes what was cut off; the zero turn does
// nothing else. The turn at the repository must be held.
func (r *repository) revise(ctx context.Context, t turn) (*revision, error) {
	for range maxTurns {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v := &revision{repo: r, at: time.Now().UTC().Truncate(time.Second)}
		var err error
		if v.desk, err = r.disk.Desk(ctx); err != nil {
			return nil, err
		}
		v.tip = v.desk.SigningTip
		torn := v.desk.Torn != nil
		switch {
		case torn:
			err = v.mend(ctx)
		case t.take == nil:
			return v, nil
		default:
			err = v.step(ctx, t)
		}
		if err == nil {
			err = v.commit()
		}
		conflict, ok := errors.AsType[*refConflict](err)
		switch {
		case err == nil && !torn:
			return v, nil
		case err == nil, ok && conflict.moved(), ok && conflict.removeStaleLock(r, time.Now()):
			continue
		case ok:
			return nil, ipc.Errorf(ipc.Conflict, "project %s: %w", r.disk.URN, err)
		}
		return nil, err
	}
	return nil, ipc.Errorf(ipc.Conflict, "project %s: others were faster %d times", r.disk.URN, maxTurns).WithHint("try again")
}

// revision is one attempt to get the signing of an identity on: what it would write, and the transaction that makes it so.
type revision struct {
	repo    *repository
	desk    project.Desk
	at      time.Time
	tip     project.OID // of the record
	updates []update
	branch  string  // the default branch, if the identity has changed
	signer  peer.ID // who has signed
	result  git.IdentityResult
}

func (v *revision) step(ctx context.Context, t turn) error {
	next, signer, err := t.take(v.desk.Process, v.at)
	if err != nil {
		return err
	}
	v.signer = signer
	subject, since := next, v.desk.Since // what the step is about
	switch t.kind {
	case project.StepCancelled:
		subject = v.desk.Process
	case project.StepPending, project.StepReplaced:
		since = v.at
	}
	v.result = git.IdentityResult{Version: subject.Next(), Digest: subject.Digest(), Waits: next.Document() != nil}
	step, err := v.describe(t.kind, subject, since)
	if err != nil {
		return err
	}
	step.Key = signer
	if err := v.record(ctx, step, next.Document()); err != nil {
		return err
	}
	if next.Complete() {
		step.Kind, step.Key = project.StepPublished, ""
		return v.complete(ctx, next, step)
	}
	return nil
}

func (v *revision) describe(kind string, p trust.Process, since time.Time) (project.Step, error) {
	digest, err := hex.DecodeString(p.Digest())
	own := p.Progress().Own
	return project.Step{
		Kind: kind, Project: v.repo.disk.URN.Bytes(), Peer: v.repo.peer, Version: p.Next(), Digest: digest,
		Expires: p.Document().Expires(), Since: since, Signed: len(own.Signed), Threshold: own.Threshold,
	}, err
}

// record writes a step after those before; the transaction will move the record to the last.
func (v *revision) record(ctx context.Context, step project.Step, waits trust.Document) (err error) {
	v.tip, err = v.repo.disk.WriteStep(ctx, step, v.tip, waits, v.at)
	return err
}

// complete makes what is signed by enough the project's identity.
func (v *revision) complete(ctx context.Context, p trust.Process, step project.Step) error {
	before := v.desk.Identity
	next, err := before.Advance(p, v.at)
	if err != nil {
		return err
	}
	commit, err := v.repo.disk.WriteIdentity(ctx, next, v.desk.IdentityTip, v.at)
	if err != nil {
		return err
	}
	v.updates = append(v.updates, update{project.IdentityRef, v.desk.IdentityTip, commit})
	v.result.Complete, v.result.Waits = true, false
	return v.follow(ctx, before, next, step)
}

// mend completes a transaction that moved the identity and was cut off after that.
func (v *revision) mend(ctx context.Context) error {
	now := v.desk.Identity
	files := now.Files()
	before, err := project.VerifyChain(files[:len(files)-1])
	if err != nil {
		return err
	}
	step := *v.desk.Torn
	step.Kind, step.Key, step.Peer = project.StepPublished, "", v.repo.peer
	return v.follow(ctx, before, now, step)
}

// follow has the default branch and the record go after the identity.
func (v *revision) follow(ctx context.Context, before, now project.Identity, step project.Step) error {
	r := v.repo
	old, branch := "refs/heads/"+before.DefaultBranch, "refs/heads/"+now.DefaultBranch
	at, err := r.disk.Ref(ctx, branch)
	if err != nil {
		return err
	}
	belongs, err := r.agreedOn(ctx, now, at, nil)
	if errors.Is(err, ipc.Corrupt) {
		belongs, err = at, nil // damaged refs of one delegate must not keep the others from changing who they are
	}
	if err != nil {
		return err
	}
	if belongs != at {
		v.updates = append(v.updates, update{branch, at, belongs})
	}
	if old != branch {
		left, err := r.disk.Ref(ctx, old)
		if err != nil {
			return err
		}
		if !left.IsZero() {
			v.updates = append(v.updates, update{old, left, project.OID{}})
		}
	}
	v.branch = now.DefaultBranch
	return v.record(ctx, step, nil)
}

// commit moves the refs, the record last: as long as it has not moved, it tells what is to be done.
func (v *revision) commit() error {
	v.updates = append(v.updates, update{project.SigningRef, v.desk.SigningTip, v.tip})
	if err := v.repo.commitDurably(v.updates); err != nil {
		return err
	}
	if v.branch == "" {
		return nil
	}
	return v.repo.disk.SetHead(v.branch)
}
