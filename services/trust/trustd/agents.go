package trustd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

// agents finds the ssh-agent that holds a key.
type agents struct {
	dirs   profile.Dirs
	getenv func(string) string

	mu   sync.Mutex
	last map[peer.ID]keys.Agent // where each key was found
}

// AgentVariable names an agent that is asked when no other holds the key. lnk up sets it to its own SSH_AUTH_SOCK, which
// daemons do not inherit.
const AgentVariable = "LNK_AGENT"

// holding returns an agent that holds the key now: the caller's, the one that did the last time, or any that we know of.
func (a *agents) holding(ctx context.Context, id peer.ID, callers string) (keys.Agent, error) {
	if only, found := a.only(id); found {
		return only, only.Ready(ctx, id)
	}
	a.mu.Lock()
	last := a.last[id]
	a.mu.Unlock()
	for _, agent := range []keys.Agent{{Path: callers, Source: keys.SourceCaller}, last} {
		if agent.Path == "" {
			continue
		}
		if held, _ := agent.Holds(ctx, id); held {
			return a.remember(id, agent), nil
		}
	}
	var first error
	for agent := range a.candidates(ctx) {
		held, err := agent.Holds(ctx, id)
		if held {
			return a.remember(id, agent), nil
		}
		if first == nil {
			first = err
		}
	}
	absent := ipc.Errorf(ipc.NoKey, "no ssh-agent holds the online key %s", id)
	if first != nil {
		absent = ipc.Errorf(ipc.NoKey, "no ssh-agent holds the online key %s: %w", id, first)
	}
	return keys.Agent{}, absent.WithHint("add the key to your agent with " + a.cure(id))
}

// cure is the command that loads a key: that of a profile, or one in a file that its owner knows.
func (a *agents) cure(id peer.ID) string {
	profiles, _ := a.dirs.Profiles() // those that are broken are no help, and not in the way
	if !slices.ContainsFunc(profiles, func(p profile.Profile) bool { return p.Peer == id }) {
		return "lnk key add FILE"
	}
	if name := a.dirs.Called(id); name != "" {
		return "lnk --profile " + name + " key add"
	}
	return "lnk key add"
}

// only is the agent of an unattended profile, which alone signs with its key.
func (a *agents) only(id peer.ID) (keys.Agent, bool) {
	profiles, _ := a.dirs.Profiles() // those that are broken are no help, and not in the way
	for _, p := range profiles {
		if p.Peer == id && p.AgentOnly {
			return keys.Agent{Path: p.AgentSocket, Source: keys.SourceProfile, Patience: p.AgentTimeout, For: a.dirs.Called(id)}, true
		}
	}
	return keys.Agent{}, false
}

func (a *agents) remember(id peer.ID, agent keys.Agent) keys.Agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last[id] = agent
	return agent
}

// candidates gives the agents that may hold the key: those of profiles, and those that FindAgent would look for.
func (a *agents) candidates(ctx context.Context) iter.Seq[keys.Agent] {
	return func(yield func(keys.Agent) bool) {
		profiles, _ := a.dirs.Profiles() // those that are broken are no help, and not in the way
		for _, p := range profiles {
			if p.AgentSocket != "" && !yield(keys.Agent{Path: p.AgentSocket, Source: keys.SourceProfile}) {
				return
			}
		}
		for candidate := range keys.Candidates(ctx, keys.Sources{Getenv: a.getenv, Caller: a.getenv(AgentVariable)}) {
			if !yield(candidate.Agent) {
				return
			}
		}
	}
}

// signer returns the online key with the agent that holds it.
func (a *agents) signer(ctx context.Context, key trust.Key, callers string) (keys.Signer, error) {
	id, err := peer.FromPublicKey(key.Public)
	if err != nil {
		return nil, err
	}
	agent, err := a.holding(ctx, id, callers)
	if err != nil {
		return nil, err
	}
	return agent.Signer(id), nil
}

// isNoKey tells a key that is not at hand from a failure.
func isNoKey(err error) bool { return errors.Is(err, ipc.NoKey) }

// onlineSigner signs with the one key of a role, which an agent holds. It may be used concurrently.
type onlineSigner struct {
	r    *repository
	by   caller
	role trust.Role
	key  keys.Signer

	mu    sync.Mutex
	lines []keys.AuditRecord // what was signed and is not in the audit log yet
}

// recordAtOnce is how many lines go to the audit log together: each time is one write to the disk.
const recordAtOnce = 256

func (s *onlineSigner) find(ctx context.Context) (err error) {
	s.key, err = s.r.agents.signer(ctx, s.role.Keys[0], s.by.agent)
	return err
}

func (s *onlineSigner) sign(ctx context.Context, name string, doc *trust.File) (*trust.File, error) {
	signed, err := doc.Sign(ctx, s.key, s.role)
	if err != nil {
		return nil, err
	}
	id, err := peer.FromPublicKey(s.role.Keys[0].Public)
	if err != nil {
		return nil, err
	}
	line := s.r.line(id, "tuf:"+name, doc, s.by)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines = append(s.lines, line); len(s.lines) >= recordAtOnce {
		err = s.recordLocked()
	}
	return signed, err
}

// record writes what is left to the audit log. Without it, nothing may be used that was signed.
func (s *onlineSigner) record() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recordLocked()
}

func (s *onlineSigner) recordLocked() error {
	err := s.r.audit.Append(s.lines...)
	s.lines = nil
	return err
}

// signAll puts signed documents in the place of those in docs.
func (s *onlineSigner) signAll(ctx context.Context, docs map[string]*trust.File) error {
	work, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	for name, doc := range maps.Clone(docs) {
		work.Go(func() error {
			signed, err := s.sign(ctx, name, doc)
			mu.Lock()
			defer mu.Unlock()
			docs[name] = signed
			return err
		})
	}
	return work.Wait()
}

// line is what the audit log says about a signature.
func (r *repository) line(id peer.ID, kind string, doc trust.Document, by caller) keys.AuditRecord {
	sum := sha256.Sum256(doc.Payload())
	return keys.AuditRecord{Time: time.Now().UTC(), Key: id, Kind: kind, Digest: "sha256:" + hex.EncodeToString(sum[:]), Caller: "lnk-trustd: " + r.name + " for " + by.who}
}
