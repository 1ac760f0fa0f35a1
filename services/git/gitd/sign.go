package gitd

import (
	"context"
	"fmt"
	"time"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/project"
)

// sign has the agent sign next, once, and writes it to the repository. No ref has moved when it fails.
func (p *session) sign(ctx context.Context, next project.SignedRefs) (project.OID, error) {
	agent, err := p.server.agents.find(ctx, p.agent)
	if err != nil {
		return project.OID{}, fmt.Errorf("cannot sign the push: %w", err)
	}
	signer := p.server.audit.Audited(agent.Signer(p.repo.peer), "", "lnk-gitd: push to "+string(next.URN))
	signed, err := next.Sign(ctx, signer)
	if err != nil {
		return project.OID{}, fmt.Errorf("cannot sign the push: %w", err)
	}
	return p.repo.disk.WriteSignedRefs(ctx, signed, time.Now())
}

// agents finds the ssh-agent for a signature.
type agents struct {
	dirs   profile.Dirs
	peer   peer.ID
	getenv func(string) string
}

// find returns the agent of whoever pushes, which is the same user's as ours, or else one that we know of ourselves; for an
// unattended peer only its own.
func (a agents) find(ctx context.Context, caller string) (keys.Agent, error) {
	profiles, _ := a.dirs.Profiles() // those that are broken are no help, and not in the way
	sources := keys.Sources{Caller: caller, Getenv: a.getenv, For: a.dirs.Called(a.peer)}
	for _, p := range profiles {
		if p.Peer == a.peer {
			sources.Profile, sources.Only, sources.Patience = p.AgentSocket, p.AgentOnly, p.AgentTimeout
		}
	}
	return keys.FindAgent(ctx, sources)
}
