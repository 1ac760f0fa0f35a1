package gitd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
)

// repositories are the projects stored here, each opened when it is first asked for.
type repositories struct {
	store  project.Store
	engine *engine
	peer   peer.ID
	state  string // folder for the lock of each project

	mu   sync.Mutex
	open map[project.URN]*repository
}

// repository is one project, and what this process knows about our own namespace in it.
type repository struct {
	disk   project.Repository
	engine *engine
	peer   peer.ID
	lockAt string // file of the lock between processes

	// turn is held (by a value in it) by whoever changes refs; it guards what follows. The lock between processes is
	// taken after it.
	turn    chan struct{}
	state   *state // nil until it is first needed, and again after a surprise
	policy  policy
	lock    *fileLock   // nil when nobody has the turn and there is no updater
	updater *updater    // nil if there is none
	rest    *time.Timer // ends the updater
}

// state is a repository as of the last look under the lock.
type state struct {
	tip        project.OID            // of our signed refs, zero for none
	signed     project.SignedRefs     // what tip holds
	refs       map[string]project.OID // our refs as they are; differs from signed.Refs only after a mishap
	canonical  project.OID            // of the project's default branch, zero for none
	identity   project.Identity
	identified project.OID // commit of the identity
}

// find returns the repository of a project that is stored here.
func (r *repositories) find(ctx context.Context, urn project.URN) (*repository, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.open[urn]; known != nil {
		return known, nil
	}
	disk, err := r.store.Open(ctx, urn)
	if err != nil {
		return nil, err
	}
	known := &repository{
		disk: disk, engine: r.engine, peer: r.peer,
		lockAt: filepath.Join(r.state, urn.RID()+".lock"), turn: make(chan struct{}, 1),
	}
	if err := known.heal(ctx); err != nil {
		return nil, fmt.Errorf("cannot repair project %s: %w", urn, err)
	}
	r.open[urn] = known
	return known, nil
}

func (r *repositories) close(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range r.open {
		known.close(ctx)
	}
}

// branch returns the default branch as a ref.
func (s *state) branch() string { return "refs/heads/" + s.identity.DefaultBranch }

// look reads everything anew, with one git process for all refs.
func (r *repository) look(ctx context.Context) (*state, error) {
	identity, at, err := r.disk.IdentityAndTip(ctx)
	if err != nil {
		return nil, err
	}
	prefix := project.Namespace(r.peer)
	s := &state{refs: map[string]project.OID{}, identity: identity, identified: at}
	branch := s.branch()
	all, err := r.engine.refs(ctx, r.disk.Dir, prefix+"refs/", branch)
	if err != nil {
		return nil, err
	}
	s.canonical = all[branch]
	for name, oid := range all {
		ref, ours := strings.CutPrefix(name, prefix)
		switch {
		case name == project.SignedRefsRef(r.peer):
			s.tip = oid
		case ours && project.CheckRef(ref) == nil:
			s.refs[ref] = oid
		}
	}
	s.signed, err = r.signedAt(ctx, s.tip)
	return s, err
}

// signedAt returns the signed refs of a commit of ours; those before the first are empty.
func (r *repository) signedAt(ctx context.Context, commit project.OID) (project.SignedRefs, error) {
	if commit.IsZero() {
		return project.SignedRefs{URN: r.disk.URN, Peer: r.peer}, nil
	}
	signed, err := r.disk.SignedRefsAt(ctx, r.peer, commit)
	return signed.SignedRefs, err
}

// hasNamespace reports whether a peer has published anything here. Every namespace has a HEAD from its beginning.
func (r *repository) hasNamespace(id peer.ID) bool {
	_, err := os.Lstat(filepath.Join(r.disk.Dir, filepath.FromSlash(project.Namespace(id)), "HEAD"))
	return err == nil
}

// after returns the refs as they are once changes are made.
func (s *state) after(commands []*command) map[string]project.OID {
	refs := maps.Clone(s.refs)
	for _, c := range commands {
		if c.new.IsZero() {
			delete(refs, c.ref)
		} else {
			refs[c.ref] = c.new
		}
	}
	return refs
}

// advance makes what was just committed the state.
func (r *repository) advance(tip project.OID, next project.SignedRefs, canonical project.OID) {
	s := *r.state
	s.tip, s.signed, s.refs, s.canonical = tip, next, next.Refs, canonical
	r.state = &s
}

// agreed returns where the project's own default branch belongs once our refs are as next says. We have no say if we are
// no delegate.
func (r *repository) agreed(ctx context.Context, s *state, next project.SignedRefs) (project.OID, error) {
	if !s.identity.IsDelegate(r.peer) {
		return s.canonical, nil
	}
	return r.agreedOn(ctx, s.identity, s.canonical, map[peer.ID]project.SignedRefs{r.peer: next})
}

// agreedOn returns where the default branch belongs by what the delegates have signed; known spares reading some of it.
// It stays where it is, at now, while they do not agree.
func (r *repository) agreedOn(ctx context.Context, identity project.Identity, now project.OID, known map[peer.ID]project.SignedRefs) (project.OID, error) {
	signed := make(map[peer.ID]project.SignedRefs, len(identity.Delegates))
	maps.Copy(signed, known)
	for _, delegate := range identity.Delegates {
		if _, have := signed[delegate]; have {
			continue
		}
		theirs, _, err := r.disk.SignedRefs(ctx, delegate)
		if err != nil && !errors.Is(err, ipc.NotFound) {
			return project.OID{}, err
		}
		signed[delegate] = theirs.SignedRefs
	}
	agreed, err := r.disk.Agreed(ctx, identity, signed)
	if errors.Is(err, ipc.Conflict) || err == nil && agreed.IsZero() {
		return now, nil
	}
	return agreed, err
}
