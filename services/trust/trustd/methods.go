package trustd

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

// handle answers the methods of the contract.
func (s *Server) handle(mux *ipc.Mux) {
	trust.Repositories.Handle(mux, s.list)
	trust.Status.Handle(mux, s.status)
	trust.Show.Handle(mux, s.show)
	trust.Artifacts.Handle(mux, s.listArtifacts)
	trust.Bootstrap.Handle(mux, s.bootstrap)
	trust.Delegate.Handle(mux, s.delegate)
	trust.Add.Handle(mux, s.add)
	trust.Renew.Handle(mux, func(ctx context.Context, a trust.RenewArgs) (trust.Result, error) {
		// A timer that gives up waits for the next time; what takes longer than its patience would never be renewed.
		return trust.Result{Task: newTask(), Complete: true}, s.renewAll(context.WithoutCancel(ctx), callerOf(ctx, a.Agent))
	})
	trust.Update.Handle(mux, func(ctx context.Context, a trust.UpdateArgs) (trust.Result, error) {
		return s.change(ctx, a.Repository, false, func(r *repository, task string) (outcome, error) {
			return r.update(ctx, a.Root, moment(a.Deadline), task, callerOf(ctx, a.Agent))
		})
	})
	trust.AddTo.Handle(mux, s.sign)
	trust.Override.Handle(mux, func(ctx context.Context, a trust.OverrideArgs) (trust.Result, error) {
		return s.change(ctx, a.Repository, false, func(r *repository, task string) (outcome, error) {
			return r.override(ctx, orRoot(a.Role), a.Metadata, a.Match, task, callerOf(ctx, a.Agent))
		})
	})
	trust.Cancel.Handle(mux, func(ctx context.Context, a trust.CancelArgs) (trust.Result, error) {
		return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) {
			return r.cancel(orRoot(a.Role), a.Match, callerOf(ctx, ""))
		})
	})
	trust.Configure.Handle(mux, func(ctx context.Context, a trust.ConfigureArgs) (trust.Result, error) {
		return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) { return r.configure(a.Expiration) })
	})
	trust.Force.Handle(mux, s.force)
	trust.Undelegate.Handle(mux, func(ctx context.Context, a trust.UndelegateArgs) (trust.Result, error) {
		return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) {
			return r.undelegate(ctx, a.Roles, callerOf(ctx, a.Agent))
		})
	})
	trust.Remove.Handle(mux, func(ctx context.Context, a trust.RemoveArgs) (trust.Result, error) {
		return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) {
			return r.artifacts(ctx, artifactsRequest{remove: a.Paths, stage: a.Stage}, callerOf(ctx, a.Agent))
		})
	})
	trust.Publish.Handle(mux, func(ctx context.Context, a trust.RepositoryArgs) (trust.Result, error) {
		return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) {
			return r.publishStaged(ctx, callerOf(ctx, a.Agent))
		})
	})
}

func (s *Server) sign(ctx context.Context, a trust.SignArgs) (trust.Result, error) {
	r, err := s.repository(ctx, a.Repository, false)
	if err != nil {
		return trust.Result{}, err
	}
	// Others may depend on this call's turn, so it does not end with its caller.
	ctx = context.WithoutCancel(ctx)
	q := r.enqueue(orRoot(a.Role), trust.Signature{KeyID: a.KeyID, Sig: a.Signature}, a.Match, callerOf(ctx, a.Agent))
	return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) { return r.settle(ctx, q) })
}

func (s *Server) force(ctx context.Context, a trust.ForceArgs) (trust.Result, error) {
	return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) {
		return r.renewRoles(ctx, a.Roles, moment(a.Deadline), callerOf(ctx, a.Agent))
	})
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orRoot(role string) string {
	if role == "" {
		return trust.RoleRoot
	}
	return role
}

// callerOf says for whom, in the audit log: a process of the same user.
func callerOf(ctx context.Context, agent string) caller {
	who := "a local process"
	if cred, ok := ipc.PeerFrom(ctx); ok && cred.PID > 0 {
		who = fmt.Sprintf("process %d", cred.PID)
	}
	return caller{who: who, agent: agent}
}

// change runs one request that changes a repository.
func (s *Server) change(ctx context.Context, name string, create bool, f func(r *repository, task string) (outcome, error)) (trust.Result, error) {
	result := trust.Result{Task: newTask()}
	err := s.with(ctx, name, create, func(r *repository) error {
		out, err := f(r, result.Task)
		result.Role, result.Version, result.Complete, result.Digest = out.role, out.version, out.complete, out.digest
		result.Done, result.Refused = out.done, out.refused
		return err
	})
	return result, err
}

func (s *Server) list(context.Context, ipc.Empty) (trust.RepositoriesResult, error) {
	names, err := s.names()
	return trust.RepositoriesResult{Repositories: names}, err
}

func (s *Server) bootstrap(ctx context.Context, a trust.BootstrapArgs) (trust.Result, error) {
	set := settings{Expiration: a.Expiration, Bins: a.Bins}
	var err error
	if set.Delegated, err = readDelegations(a.Delegations, set.Expiration); err != nil {
		return trust.Result{}, err
	}
	if err := set.check(); err != nil {
		return trust.Result{}, err
	}
	return s.change(ctx, a.Repository, true, func(r *repository, task string) (outcome, error) {
		return r.bootstrap(ctx, bootstrapRequest{settings: set, root: a.Root, deadline: moment(a.Deadline)}, task, callerOf(ctx, a.Agent))
	})
}

func readDelegations(list []trust.Delegation, days map[string]int) ([]delegation, error) {
	var all []delegation
	for _, d := range list {
		one := delegation{Name: d.Name, Threshold: max(d.Threshold, 1), Paths: d.Paths, Terminating: d.Terminating, Names: map[string]string{}}
		for _, id := range d.Peers {
			if _, err := peer.Parse(string(id)); err != nil {
				return nil, ipc.Errorf(ipc.BadRequest, "%w", err)
			}
			one.Keys = append(one.Keys, id.PublicKey())
			one.call(id.PublicKey(), d.Names[id])
		}
		if d.Days > 0 {
			days[d.Name] = d.Days
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *Server) delegate(ctx context.Context, a trust.DelegateArgs) (trust.Result, error) {
	days := map[string]int{}
	list, err := readDelegations(a.Delegations, days)
	if err != nil {
		return trust.Result{}, err
	}
	return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) {
		return r.delegate(ctx, list, days, moment(a.Deadline), callerOf(ctx, a.Agent))
	})
}

func (s *Server) add(ctx context.Context, a trust.AddArgs) (trust.Result, error) {
	return s.change(ctx, a.Repository, false, func(r *repository, _ string) (outcome, error) {
		request := artifactsRequest{add: map[string]trust.Target{}, stage: a.Stage}
		for _, one := range a.Artifacts {
			info := trust.Target{Length: one.Length, Hashes: one.Hashes, Custom: json.RawMessage(one.Custom)}
			if one.File != "" {
				var err error
				if info, err = r.folder.takeIn(ctx, one); err != nil {
					return outcome{}, err
				}
			}
			request.add[one.Path] = info
		}
		return r.artifacts(ctx, request, callerOf(ctx, a.Agent))
	})
}

// listArtifacts lists what there is when it is called: nobody waits for a caller who takes the list slowly.
func (s *Server) listArtifacts(ctx context.Context, a trust.RepositoryArgs) iter.Seq2[trust.Artifact, error] {
	return func(yield func(trust.Artifact, error) bool) {
		all, err := s.published(ctx, a.Repository)
		if err != nil {
			yield(trust.Artifact{}, err)
			return
		}
		for _, one := range all {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// published returns the artifacts of a repository, sorted by path.
func (s *Server) published(ctx context.Context, name string) (all []trust.Artifact, err error) {
	err = s.with(ctx, name, false, func(r *repository) error {
		if err := r.finished(); err != nil {
			return err
		}
		for _, role := range slices.Sorted(maps.Keys(r.edition.snapshot.Versions)) {
			if !r.inUse(role) {
				continue
			}
			targets, err := r.contents(role)
			if err != nil {
				return err
			}
			for path, t := range targets {
				all = append(all, trust.Artifact{Path: path, Length: t.Length, Hashes: t.Hashes, Custom: t.Custom})
			}
		}
		return nil
	})
	slices.SortFunc(all, func(a, b trust.Artifact) int { return strings.Compare(a.Path, b.Path) })
	return all, err
}

func (s *Server) status(ctx context.Context, a trust.RepositoryArgs) (result trust.StatusResult, err error) {
	err = s.with(ctx, a.Repository, false, func(r *repository) error {
		st := r.state
		result = trust.StatusResult{
			Repository: r.name, State: st.phase(), Folder: r.folder.dir, Staged: len(st.Staged.Add) + len(st.Staged.Remove),
			Expiration: st.Settings.Expiration, Bins: st.Settings.Bins, Root: st.Root,
		}
		for _, role := range slices.Sorted(maps.Keys(r.drafts)) {
			result.Pending = append(result.Pending, r.describe(role))
		}
		for _, d := range st.Settings.Delegated {
			result.Delegated = append(result.Delegated, *st.inContract(d))
		}
		result.Roles, err = r.roles()
		return err
	})
	return result, err
}

// roles describes what is published; of the bins the one that ends first.
func (r *repository) roles() ([]trust.RoleStatus, error) {
	if r.root == nil {
		return nil, nil
	}
	ends, err := r.ends()
	if err != nil {
		return nil, err
	}
	list := []trust.RoleStatus{
		{Role: trust.RoleRoot, Version: r.root.Version(), Expires: r.root.Expires(), People: true},
		{Role: trust.RoleTimestamp, Version: r.edition.timestamp.Version, Expires: ends[trust.RoleTimestamp]},
		{Role: trust.RoleSnapshot, Version: r.edition.snapshot.Version, Expires: ends[trust.RoleSnapshot]},
	}
	bins := trust.RoleStatus{Role: roleBins}
	peoples := r.peoples()
	for _, role := range slices.Sorted(maps.Keys(r.edition.snapshot.Versions)) {
		if role != trust.RoleTargets && !r.inUse(role) {
			continue
		}
		one := trust.RoleStatus{Role: role, Version: r.edition.snapshot.Versions[role], Expires: ends[role], People: peoples[role] != nil}
		if r.state.Settings.Bins == 0 || role == trust.RoleTargets {
			list = append(list, one)
		} else if bins.Version == 0 || one.Expires.Before(bins.Expires) {
			one.Role, bins = roleBins, one
			bins.Role = roleBins
		}
	}
	if bins.Version > 0 {
		list = append(list, bins)
	}
	return list, nil
}

func (s *Server) show(ctx context.Context, a trust.RoleArgs) (result trust.ShowResult, err error) {
	role := orRoot(a.Role)
	err = s.with(ctx, a.Repository, false, func(r *repository) error {
		doc := r.drafts[role]
		if doc == nil {
			return ipc.Errorf(ipc.NotFound, "nothing of %s waits for signatures in repository %s", role, r.name)
		}
		result.Pending, result.Metadata = r.describe(role), doc.Bytes()
		if d := r.state.Pending[role].Delegation; d != nil {
			result.Leaves = r.state.inContract(*d)
		}
		if d, known := r.state.Settings.delegation(role); known {
			result.Left = r.state.inContract(d)
		}
		if role == trust.RoleRoot {
			result.Previous = r.state.Root
		} else if version := r.edition.snapshot.Versions[role]; version > 0 {
			result.Previous, err = os.ReadFile(r.folder.metadata(versioned(role, version)))
		}
		return err
	})
	return result, err
}

// describe says who has signed a pending document and who has not.
func (r *repository) describe(role string) trust.PendingRole {
	doc, p := r.drafts[role], r.state.Pending[role]
	d := r.process(role, doc, p).Pending(role, p.Since)
	if !p.Deadline.IsZero() {
		d.Deadline = &p.Deadline
	}
	if to := r.delegationOf(role, p); to != nil {
		for i, s := range d.Signers {
			d.Signers[i].Name = to.Names[s.KeyID]
		}
	}
	return d
}

// check refuses settings that no repository can have.
func (s settings) check() error {
	if s.Bins > 0 && len(s.Delegated) > 0 {
		return ipc.Errorf(ipc.BadRequest, "with hash bins no roles can be delegated to")
	}
	if s.Bins != 0 && (s.Bins < 2 || s.Bins > 16384 || s.Bins&(s.Bins-1) != 0) {
		return ipc.Errorf(ipc.BadRequest, "the number of hash bins must be a power of two from 2 to 16384, not %d", s.Bins)
	}
	for role, days := range s.Expiration {
		if days < 1 || days > maxDays {
			return ipc.Errorf(ipc.BadRequest, "%.80s must be good for 1 to %d days, not %d", role, maxDays, days)
		}
	}
	for _, role := range []string{trust.RoleRoot, trust.RoleTargets, trust.RoleSnapshot, trust.RoleTimestamp} {
		if s.Expiration[role] == 0 {
			return ipc.Errorf(ipc.BadRequest, "the expiration of %s is missing", role)
		}
	}
	for _, d := range s.Delegated {
		if err := trust.CheckRoleName(d.Name); err != nil {
			return ipc.Errorf(ipc.BadRequest, "%w", err)
		}
	}
	return nil
}
