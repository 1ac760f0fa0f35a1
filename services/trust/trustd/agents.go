package trustd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

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
	for _, candidate := range a.candidates(ctx) {
		held, err := candidate.Holds(ctx, id)
		if held {
			return a.remember(id, candidate.Agent), nil
		}
		if first == nil {
			first = err
		}
	}
	absent := ipc.Errorf(ipc.NoKey, "no ssh-agent holds the online key %s", id)
	if first != nil {
		absent = ipc.Errorf(ipc.NoKey, "no ssh-agent holds the online key %s: %w", id, first)
	}
	return keys.Agent{}, absent.WithHint("add the key to your agent with lnk key add")
}

// only is the agent of an unattended profile, which alone signs with its key.
func (a *agents) only(id peer.ID) (keys.Agent, bool) {
	profiles, _ := a.dirs.Profiles() // those that are broken are no help, and not in the way
	for _, p := range profiles {
		if p.Peer == id && p.AgentOnly {
			return keys.Agent{Path: p.AgentSocket, Source: keys.SourceProfile, Patience: p.AgentTimeout}, true
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

func (a *agents) candidates(ctx context.Context) []keys.Candidate {
	sources := keys.Sources{Getenv: a.getenv, Caller: a.getenv(AgentVariable)}
	profiles, _ := a.dirs.Profiles() // those that are broken are no help, and not in the way
	var all []keys.Candidate
	for _, p := range profiles {
		if p.AgentSocket != "" {
			agent := keys.Agent{Path: p.AgentSocket, Source: keys.SourceProfile}
			all = append(all, keys.Candidate{Agent: agent})
		}
	}
	return append(all, keys.Candidates(ctx, sources)...)
}

// signers is how many signatures are asked for at once: an agent works on one at a time, the way there takes as long.
const signers = 4

// order is a document that an online key is to sign.
type order struct {
	name string
	doc  *trust.File
	role trust.Role
}

// signOnline has the role's key, of which there is one, sign each document. Every signature is in the audit log before
// any of them is used.
func (r *repository) signOnline(ctx context.Context, orders []order, by caller) ([]*trust.File, error) {
	if len(orders) == 0 {
		return nil, nil
	}
	agentOf := map[string]keys.Agent{}
	for _, o := range orders {
		pub := o.role.Keys[0].Public
		if _, known := agentOf[string(pub)]; known {
			continue
		}
		id, err := peer.FromPublicKey(pub)
		if err != nil {
			return nil, err
		}
		if agentOf[string(pub)], err = r.agents.holding(ctx, id, by.agent); err != nil {
			return nil, err
		}
	}
	signed, err := r.signAll(ctx, orders, agentOf)
	if err != nil {
		return nil, err
	}
	return signed, r.record(orders, by)
}

func (r *repository) signAll(ctx context.Context, orders []order, agentOf map[string]keys.Agent) ([]*trust.File, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signed := make([]*trust.File, len(orders))
	todo := make(chan int)
	var workers sync.WaitGroup
	for range min(signers, len(orders)) {
		workers.Go(func() {
			for i := range todo {
				o := orders[i]
				pub := o.role.Keys[0].Public
				id, err := peer.FromPublicKey(pub)
				if err == nil {
					signed[i], err = o.doc.Sign(ctx, agentOf[string(pub)].Signer(id), o.role)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range orders {
		if ctx.Err() != nil {
			break
		}
		todo <- i
	}
	close(todo)
	workers.Wait()
	return signed, context.Cause(ctx)
}

// record writes an audit line for each signature.
func (r *repository) record(orders []order, by caller) error {
	lines := make([]keys.AuditRecord, 0, len(orders))
	for _, o := range orders {
		id, err := peer.FromPublicKey(o.role.Keys[0].Public)
		if err != nil {
			return err
		}
		lines = append(lines, r.line(id, "tuf:"+o.name, o.doc, by))
	}
	return r.audit.Append(lines...)
}

func (r *repository) line(id peer.ID, kind string, doc trust.Document, by caller) keys.AuditRecord {
	sum := sha256.Sum256(doc.Payload())
	return keys.AuditRecord{Time: time.Now().UTC(), Key: id, Kind: kind, Digest: "sha256:" + hex.EncodeToString(sum[:]), Caller: "lnk-trustd: " + r.name + " for " + by.who}
}

// isNoKey tells a key that is not at hand from a failure.
func isNoKey(err error) bool { return errors.Is(err, ipc.NoKey) }
