package trustd

import (
	"context"
	"slices"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// withDelegation returns the list with d in place of one of the same name, or at its end.
func withDelegation(list []delegation, d delegation) []delegation {
	list = slices.Clone(list)
	if i := slices.IndexFunc(list, func(o delegation) bool { return o.Name == d.Name }); i >= 0 {
		list[i] = d
		return list
	}
	return append(list, d)
}

// delegatedBy returns the delegations as targets metadata lists them.
func delegatedBy(root *trust.Root, list []delegation) ([]trust.Delegated, error) {
	var all []trust.Delegated
	for _, d := range list {
		role, err := d.role(root)
		if err != nil {
			return nil, err
		}
		all = append(all, trust.Delegated{Name: d.Name, Role: role, Paths: d.Paths, Terminating: d.Terminating})
	}
	return all, nil
}

// check refuses a delegation that cannot be published, or that clients of the API could not see (GET metadata/sign).
func (d delegation) check(root *trust.Root) error {
	if strings.HasPrefix(d.Name, trustedPrefix) {
		return ipc.Errorf(ipc.BadRequest, "role name %s is taken: it begins with %s", d.Name, trustedPrefix)
	}
	list, err := delegatedBy(root, []delegation{d})
	if err != nil {
		return err
	}
	_, err = trust.NewTargets(trust.TargetsSpec{Version: 1, Delegated: list})
	return err
}

// delegate adds or changes delegations. One to the online key is published at once. One to people becomes visible together
// with the first version of the role that they have signed: before, it would lead clients to a role that is not there.
func (r *repository) delegate(ctx context.Context, list []delegation, days map[string]int, by caller) (outcome, error) {
	if err := r.finished(); err != nil {
		return outcome{}, err
	}
	if r.state.Settings.Bins > 0 {
		return outcome{}, ipc.Errorf(ipc.Conflict, "hash bins are used: no roles can be delegated to")
	}
	next := r.state.clone()
	c := change{contents: map[string]map[string]trust.Target{}}
	drafts := map[string]*trust.Targets{}
	var out outcome
	for _, d := range list {
		if err := r.plan(next, d, days[d.Name], &c, drafts); err != nil {
			return outcome{refused: []string{d.Name}}, err
		}
		out.done = append(out.done, d.Name)
	}
	var err error
	if c.top {
		err = r.publish(ctx, next, c, by)
	} else {
		err = r.commit(next, nil)
	}
	if r.state == next {
		for role, doc := range drafts {
			r.drafts[role] = doc
		}
	}
	out.complete = len(drafts) == 0
	return out, err
}

func (r *repository) plan(next *state, d delegation, days int, c *change, drafts map[string]*trust.Targets) error {
	if err := d.check(r.root); err != nil {
		return err
	}
	if r.drafts[d.Name] != nil || drafts[d.Name] != nil {
		return ipc.Errorf(ipc.Conflict, "role %s is pending signatures already", d.Name)
	}
	if days > 0 {
		next.Settings.Expiration[d.Name] = days
	}
	targets, err := r.contents(d.Name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(next.Settings.Delegated, func(o delegation) bool { return o.Name == d.Name })
	sameSigners := i >= 0 && next.Settings.Delegated[i].Threshold == d.Threshold &&
		slices.EqualFunc(next.Settings.Delegated[i].Keys, d.Keys, func(a, b []byte) bool { return string(a) == string(b) })
	switch {
	case len(d.Keys) == 0:
		c.contents[d.Name] = targets
		fallthrough
	case sameSigners:
		next.Settings.Delegated = withDelegation(next.Settings.Delegated, d)
		c.top = true
		return nil
	}
	doc, err := trust.NewTargets(trust.TargetsSpec{Version: r.edition.snapshot.Versions[d.Name] + 1, Expires: next.expiry(d.Name, r.now()), Targets: targets})
	if err != nil {
		return err
	}
	drafts[d.Name] = doc
	next.await(r, d.Name, doc, &d)
	return nil
}

// undelegate takes delegations away, and ends what is pending for the roles. Snapshot goes on to name them, as clients
// refuse one that forgets.
func (r *repository) undelegate(ctx context.Context, names []string, by caller) (outcome, error) {
	if err := r.finished(); err != nil {
		return outcome{}, err
	}
	next := r.state.clone()
	var out outcome
	published := false
	for _, name := range names {
		doc, waiting := r.drafts[name]
		i := slices.IndexFunc(next.Settings.Delegated, func(d delegation) bool { return d.Name == name })
		if i < 0 && (!waiting || name == trust.RoleRoot) {
			out.refused = append(out.refused, name)
			continue
		}
		if waiting {
			next.drop(r, name, doc, r.state.Pending[name])
		}
		if i >= 0 {
			next.Settings.Delegated = slices.Delete(next.Settings.Delegated, i, i+1)
			published = true
		}
		out.done = append(out.done, name)
	}
	if len(out.done) == 0 {
		return out, nil
	}
	var err error
	if published {
		err = r.publish(ctx, next, change{top: true}, by)
	} else {
		err = r.commit(next, nil)
	}
	if r.state == next {
		for _, name := range out.done {
			delete(r.drafts, name)
		}
	}
	out.complete = err == nil
	return out, err
}
