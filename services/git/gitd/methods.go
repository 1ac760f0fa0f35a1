package gitd

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
)

// handle answers the methods of the contract. None of them needs the agent.
func (s *Server) handle(mux *ipc.Mux) {
	mux.CheckHealth(s.health)
	git.Create.Handle(mux, s.create)
	git.Projects.Handle(mux, s.projects)
	git.Show.Handle(mux, s.show)
	git.Refs.Handle(mux, s.refs)
	git.Verify.Handle(mux, s.verify)
	git.ShowIdentity.Handle(mux, s.showIdentity)
	git.ProposeIdentity.Handle(mux, s.proposeIdentity)
	git.SignIdentity.Handle(mux, s.signIdentity)
	git.OverrideIdentity.Handle(mux, s.overrideIdentity)
	git.CancelIdentity.Handle(mux, s.cancelIdentity)
	git.HostKey.Handle(mux, s.showHostKey)
}

func (s *Server) showHostKey(context.Context, ipc.Empty) (git.HostKeyResult, error) {
	return git.HostKeyResult{Key: s.ssh.HostKey()}, nil
}

func (s *Server) create(ctx context.Context, args git.CreateArgs) (git.Project, error) {
	identity, err := project.VerifyChain(args.Identity)
	if err != nil {
		return git.Project{}, err
	}
	disk, err := s.repositories.store.Create(ctx, identity, time.Now())
	if err != nil {
		return git.Project{}, err
	}
	if err := disk.SetNamespaceHead(s.peer, identity.DefaultBranch); err != nil {
		return git.Project{}, err
	}
	return describe(ctx, disk)
}

func (s *Server) projects(ctx context.Context, _ ipc.Empty) (git.ProjectsResult, error) {
	urns, err := s.repositories.store.List()
	if err != nil {
		return git.ProjectsResult{}, err
	}
	result := git.ProjectsResult{Projects: []git.Project{}}
	for _, urn := range urns {
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		p, err := s.show(ctx, git.ProjectArgs{Project: string(urn)})
		if err != nil {
			result.Broken = append(result.Broken, git.Broken{URN: urn, Problem: err.Error()})
			continue
		}
		result.Projects = append(result.Projects, p)
	}
	return result, nil
}

func (s *Server) show(ctx context.Context, args git.ProjectArgs) (git.Project, error) {
	repo, err := s.named(ctx, args.Project)
	if err != nil {
		return git.Project{}, err
	}
	return describe(ctx, repo.disk)
}

func describe(ctx context.Context, disk project.Repository) (git.Project, error) {
	identity, err := disk.Identity(ctx)
	if err != nil {
		return git.Project{}, err
	}
	head, err := disk.Ref(ctx, "refs/heads/"+identity.DefaultBranch)
	if err != nil {
		return git.Project{}, err
	}
	peers, err := disk.Peers(ctx)
	return git.Project{
		URN: identity.URN, Name: identity.Name, Description: identity.Description, DefaultBranch: identity.DefaultBranch,
		Delegates: identity.Delegates, Threshold: identity.Threshold, Version: identity.Version, Expires: identity.Expires,
		Head: head, Peers: peers,
	}, err
}

// refsPerPart keeps a part well below what a message holds, whatever the names.
const refsPerPart = 1000

func (s *Server) refs(ctx context.Context, args git.RefsArgs) iter.Seq2[git.RefsResult, error] {
	return func(yield func(git.RefsResult, error) bool) {
		all, err := s.signedRefs(ctx, args)
		part := all
		for more := err == nil; more; more = len(all.Refs) > 0 {
			n := min(refsPerPart, len(all.Refs))
			part.Refs, all.Refs = all.Refs[:n], all.Refs[n:]
			if !yield(part, nil) {
				return
			}
		}
		if err != nil {
			yield(part, err)
		}
	}
}

func (s *Server) signedRefs(ctx context.Context, args git.RefsArgs) (git.RefsResult, error) {
	repo, id, err := s.namedPeer(ctx, args)
	if err != nil {
		return git.RefsResult{}, err
	}
	signed, tip, err := repo.disk.SignedRefs(ctx, id)
	if errors.Is(err, ipc.NotFound) && id == s.peer {
		return git.RefsResult{Peer: id}, nil // nothing was pushed yet
	}
	if err != nil {
		return git.RefsResult{}, err
	}
	result := git.RefsResult{Peer: id, Seq: signed.Seq, Commit: tip}
	for _, name := range slices.Sorted(maps.Keys(signed.Refs)) {
		result.Refs = append(result.Refs, git.Ref{Name: name, OID: signed.Refs[name]})
	}
	return result, nil
}

func (s *Server) verify(ctx context.Context, args git.RefsArgs) (git.VerifyResult, error) {
	repo, id, err := s.namedPeer(ctx, args)
	if err != nil {
		return git.VerifyResult{}, err
	}
	report, err := repo.disk.Verify(ctx, id)
	if err != nil {
		return git.VerifyResult{}, err
	}
	result := git.VerifyResult{
		Peer: id, Commit: report.Tip, Seq: report.Seq, Verified: report.Verified, Refs: report.Refs, Faults: []git.Fault{},
	}
	for _, f := range report.Faults {
		result.Faults = append(result.Faults, git.Fault{Part: f.Part, Ref: f.Ref, Message: f.Message})
	}
	return result, nil
}

// named returns the repository that a caller named.
func (s *Server) named(ctx context.Context, urn string) (*repository, error) {
	parsed, err := project.ParseURN(urn)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	return s.repositories.find(ctx, parsed)
}

func (s *Server) namedPeer(ctx context.Context, args git.RefsArgs) (*repository, peer.ID, error) {
	repo, err := s.named(ctx, args.Project)
	if err != nil || args.Peer == "" {
		return repo, s.peer, err
	}
	id, err := peer.Parse(args.Peer)
	if err != nil {
		return nil, "", ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	return repo, id, nil
}

// health tells whether projects can be read and events leave.
func (s *Server) health(context.Context) error {
	if _, err := s.repositories.store.List(); err != nil {
		return err
	}
	return s.outbox.waiting()
}
