package cli

import (
	"context"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/profile"
)

// agentSources says where commands look for an ssh-agent: lnk's own environment is the caller's.
func (a *app) agentSources(p profile.Profile) keys.Sources {
	return keys.Sources{Caller: a.Getenv("SSH_AUTH_SOCK"), Profile: p.AgentSocket, Only: p.AgentOnly, Patience: p.AgentTimeout, Getenv: a.Getenv}
}

// agent finds the agent for a profile, which may be the zero profile.
func (a *app) agent(ctx context.Context, p profile.Profile) (keys.Agent, error) {
	return keys.FindAgent(ctx, a.agentSources(p))
}

// agentOfCurrent finds the agent of the profile in use; it needs no profile.
func (a *app) agentOfCurrent(ctx context.Context) (keys.Agent, error) {
	_, p, err := a.currentOrNone()
	if err != nil {
		return keys.Agent{}, err
	}
	return a.agent(ctx, p)
}

// signer signs with the key of the profile in use, and logs every signature: for which caller, and for raw ones of which
// kind.
func (a *app) signer(ctx context.Context, kind, caller string) (keys.Signer, error) {
	dirs, p, err := a.current()
	if err != nil {
		return nil, err
	}
	agent, err := a.agent(ctx, p)
	if err != nil {
		return nil, err
	}
	audit := &keys.AuditLog{Path: dirs.AuditLog()}
	return audit.Audited(agent.Signer(p.Peer), kind, caller), nil
}
