package gitd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/services/project"
)

// known returns the state of the session's repository, read from disk and set right if this process has not looked yet.
// The turn must be held.
func (p *session) known(ctx context.Context) (*state, error) {
	r := p.repo
	if r.state != nil {
		return r.state, nil
	}
	s, err := r.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read project %s: %w", r.disk.URN, err)
	}
	if err := r.disk.SetNamespaceHead(r.peer, s.identity.DefaultBranch); err != nil {
		return nil, fmt.Errorf("cannot set HEAD of the namespace: %w", err)
	}
	if err := r.disk.SetHead(s.identity.DefaultBranch); err != nil {
		return nil, fmt.Errorf("cannot set HEAD: %w", err)
	}
	if maps.Equal(s.refs, s.signed.Refs) {
		r.state = s
		return s, nil
	}
	if err := p.mend(ctx, s); err != nil {
		return nil, err
	}
	r.state = s
	return s, nil
}

// mend finishes a transaction that a crash has cut off: signed refs are always written first, so a ref that is still
// where the signed refs before had it belongs where the newest have it. Nobody needs to sign anything for that. Other
// differences were made behind gitd's back; they stay in s.refs and are signed with the next push.
func (p *session) mend(ctx context.Context, s *state) error {
	before, err := p.repo.signedAt(ctx, s.signed.Parent)
	if err != nil {
		return err
	}
	missing := s.torn(before.Refs)
	p.server.log.Warn("refs differ from the signed refs", "project", p.repo.disk.URN, "torn", len(missing),
		"unsigned", len(project.Diff(s.signed.Refs, s.refs))-len(missing))
	if len(missing) == 0 {
		return nil
	}
	if err := p.finish(changesToUpdates(p.repo, missing)); err != nil {
		return fmt.Errorf("cannot finish the push that was interrupted: %w", err)
	}
	for _, c := range missing {
		if c.New.IsZero() {
			delete(s.refs, c.Ref)
		} else {
			s.refs[c.Ref] = c.New
		}
	}
	return nil
}

// finish commits without signing. What interrupted the push may have left locks as well.
func (p *session) finish(updates []update) error {
	for {
		err := p.repo.commit(updates)
		if err == nil {
			return nil
		}
		if conflict, ok := errors.AsType[*refConflict](err); !ok || !conflict.removeStaleLock(p.repo, time.Now()) {
			return err
		}
	}
}

func changesToUpdates(r *repository, changes []project.Change) []update {
	var list []update
	for _, c := range changes {
		list = append(list, update{project.Namespace(r.peer) + c.Ref, c.Old, c.New})
	}
	return list
}

// torn returns what the newest signed refs changed and the refs themselves have not followed.
func (s *state) torn(before map[string]project.OID) []project.Change {
	var missing []project.Change
	for _, c := range project.Diff(s.refs, s.signed.Refs) {
		if before[c.Ref] == c.Old {
			missing = append(missing, c)
		}
	}
	return missing
}

// staleAfter is how old a lock of git on a ref must be for its maker to be dead. Ours are taken under the writer's lock,
// which a living update-ref of ours would hold; those of other programs last for milliseconds.
const staleAfter = 10 * time.Second

// removeStaleLock removes the lock that a conflict complains about if whoever made it was killed.
func (c *refConflict) removeStaleLock(r *repository, now time.Time) bool {
	if !strings.Contains(c.why, "File exists") {
		return false
	}
	path := filepath.Join(r.disk.Dir, filepath.FromSlash(c.ref))
	keeping, err := r.keep() // housekeeping takes its time, as others come first
	if keeping == nil || err != nil {
		return false
	}
	defer keeping.close()
	if c.ref == packedRefs {
		return removeStale(now, path+".new", path+".lock")
	}
	return removeStale(now, path+".lock")
}

// removeStale removes files if they are all too old to be in use, and there is one.
func removeStale(now time.Time, paths ...string) bool {
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil && now.Sub(info.ModTime()) < staleAfter {
			return false
		}
	}
	removed := false
	for _, path := range paths {
		removed = os.Remove(path) == nil || removed
	}
	return removed
}

// recover puts in order what a former process left: it publishes the events that are due, finishes transactions that
// were cut off, signs what was changed behind gitd's back if an agent is at hand, and removes what dead pushes have left.
// It runs after the start, as nobody waits for it.
func (s *Server) recover(ctx context.Context) {
	urns, err := s.repositories.store.List()
	if err != nil {
		s.log.Warn("cannot look for unpublished events", "err", err)
	}
	for _, urn := range urns {
		if ctx.Err() != nil {
			return
		}
		repo, err := s.repositories.find(ctx, urn)
		if err == nil && repo.hasNamespace(s.peer) {
			err = s.recoverOne(ctx, repo)
		}
		if err == nil {
			err = s.mendIdentity(ctx, repo)
		}
		if err == nil {
			err = s.outbox.publishSteps(ctx, repo)
		}
		if err == nil {
			err = repo.sweep(time.Now())
		}
		if err != nil {
			s.log.Warn("cannot recover", "project", urn, "err", err)
			continue
		}
		s.housekeeper.consider(repo)
	}
}

func (s *Server) recoverOne(ctx context.Context, repo *repository) error {
	p := &session{server: s, repo: repo, began: time.Now()}
	release, err := repo.acquire(ctx)
	if err != nil {
		return err
	}
	state, err := p.known(ctx)
	if err == nil && !maps.Equal(state.refs, state.signed.Refs) {
		err = p.commit(ctx, nil)
	}
	var tip project.OID
	if repo.state != nil {
		tip = repo.state.tip
	}
	release()
	deferred, unsafe := p.announce(ctx, tip)
	if deferred != nil {
		s.log.Warn("events are deferred", "project", repo.disk.URN, "err", deferred)
	}
	return errors.Join(err, unsafe)
}
