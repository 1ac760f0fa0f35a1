package trustd

import (
	"bytes"
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
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

// delegatedBy returns the delegations as targets metadata lists them, and what it calls their keys.
func delegatedBy(root *trust.Root, list []delegation) (all []trust.Delegated, names map[string]string, err error) {
	names = map[string]string{}
	for _, d := range list {
		role, err := d.role(root)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, trust.Delegated{Name: d.Name, Role: role, Paths: d.Paths, Terminating: d.Terminating})
		maps.Copy(names, d.Names)
	}
	return all, names, nil
}

// delegation returns what is left to a role, and whether anything is.
func (s settings) delegation(role string) (delegation, bool) {
	i := slices.IndexFunc(s.Delegated, func(d delegation) bool { return d.Name == role })
	if i < 0 {
		return delegation{}, false
	}
	return s.Delegated[i], true
}

// inUse tells a role below targets from one that had something left to it once: snapshot never forgets that.
func (r *repository) inUse(role string) bool {
	_, known := r.state.Settings.delegation(role)
	return known || r.state.Settings.Bins > 0 && role != trust.RoleTargets
}

// call notes what people call one of its keys.
func (d *delegation) call(pub []byte, name string) {
	if key, err := trust.NewKey(pub); err == nil && name != "" {
		d.Names[key.ID] = name
	}
}

// inContract is the delegation as callers know it.
func (s *state) inContract(d delegation) *trust.Delegation {
	out := trust.Delegation{Name: d.Name, Paths: d.Paths, Terminating: d.Terminating, Days: s.Settings.Expiration[d.Name], Names: map[peer.ID]string{}}
	if len(d.Keys) > 0 {
		out.Threshold = d.Threshold
	}
	for _, pub := range d.Keys {
		key, err := trust.NewKey(pub)
		id, idErr := peer.FromPublicKey(pub)
		if err != nil || idErr != nil {
			continue // cannot be: keys are checked on admission
		}
		out.Peers = append(out.Peers, id)
		if name := d.Names[key.ID]; name != "" {
			out.Names[id] = name
		}
	}
	return &out
}

// check refuses a delegation that cannot be published, or that clients of the API could not see (GET metadata/sign).
func (d delegation) check(root *trust.Root) error {
	if strings.HasPrefix(d.Name, trustedPrefix) {
		return ipc.Errorf(ipc.BadRequest, "role name %s is taken: it begins with %s", d.Name, trustedPrefix)
	}
	for _, pattern := range d.Paths {
		if _, err := path.Match(pattern, ""); err != nil {
			return ipc.Errorf(ipc.BadRequest, "role %s: %q is no pattern of paths: %w", d.Name, pattern, err)
		}
	}
	if len(d.Keys) == 0 && d.Threshold > 1 {
		return ipc.Errorf(ipc.BadRequest, "role %s: %d signatures are asked for and no key is named", d.Name, d.Threshold)
	}
	list, names, err := delegatedBy(root, []delegation{d})
	if err != nil {
		return err
	}
	_, err = trust.NewTargets(trust.TargetsSpec{Version: 1, Delegated: list, Names: names})
	return err
}

// delegate adds or changes delegations. One to the online key is published at once. One to people becomes visible together
// with the first version of the role that they have signed: before, it would lead clients to a role that is not there.
func (r *repository) delegate(ctx context.Context, list []delegation, days map[string]int, deadline time.Time, by caller) (outcome, error) {
	if err := r.finished(); err != nil {
		return outcome{}, err
	}
	if r.state.Settings.Bins > 0 {
		return outcome{}, ipc.Errorf(ipc.Conflict, "hash bins are used: no roles can be delegated to").
			WithHint("begin a repository with --bins 0 for that: lnk trust init -r NAME --bins 0")
	}
	next := r.state.clone()
	c := change{touched: map[string][]string{}}
	drafts := map[string]*trust.Targets{}
	var out outcome
	for _, d := range list {
		if err := r.plan(next, d, days[d.Name], deadline, &c, drafts); err != nil {
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
	r.await(&out, slices.Sorted(maps.Keys(drafts)))
	return out, err
}

// await says in out that the first of the roles waits for signatures, if one does.
func (r *repository) await(out *outcome, roles []string) {
	for _, role := range roles {
		if doc := r.drafts[role]; doc != nil {
			out.role, out.version, out.digest, out.complete = role, doc.Version(), digest(doc), false
			return
		}
	}
}

func (r *repository) pendingAlready(role string) error {
	return ipc.Errorf(ipc.Conflict, "role %s is pending signatures already", role).
		WithHint("see what waits for whom: " + trust.CommandLine(r.name, "show", role) + "; end it: " + trust.CommandLine(r.name, "cancel", role))
}

func (r *repository) plan(next *state, d delegation, days int, deadline time.Time, c *change, drafts map[string]*trust.Targets) error {
	if err := d.check(r.root); err != nil {
		return err
	}
	if r.drafts[d.Name] != nil || drafts[d.Name] != nil {
		return r.pendingAlready(d.Name)
	}
	if days > 0 {
		next.Settings.Expiration[d.Name] = days
	}
	old, known := next.Settings.delegation(d.Name)
	var targets map[string]trust.Target // a role that comes back begins anew
	var err error
	if known {
		if targets, err = r.contents(d.Name); err != nil {
			return err
		}
	}
	sameSigners := known && old.Threshold == d.Threshold && slices.EqualFunc(old.Keys, d.Keys, bytes.Equal)
	switch {
	case len(d.Keys) == 0:
		c.touched[d.Name] = nil
		fallthrough
	case sameSigners:
		next.Settings.Delegated = withDelegation(next.Settings.Delegated, d)
		c.top = true
		return nil
	}
	drafts[d.Name], err = r.propose(next, d.Name, targets, deadline, &d)
	return err
}

// propose makes the next version of a role that people sign, with these targets, and has it wait for them. d is what
// publishing it adds to targets, nil for nothing.
func (r *repository) propose(next *state, role string, targets map[string]trust.Target, deadline time.Time, d *delegation) (*trust.Targets, error) {
	if !deadline.IsZero() && !deadline.After(r.now()) {
		return nil, ipc.Errorf(ipc.BadRequest, "the deadline %s has passed", deadline.Format(time.RFC3339))
	}
	version := int64(1)
	if r.edition != nil {
		version += r.edition.snapshot.Versions[role]
	}
	doc, err := trust.NewTargets(trust.TargetsSpec{Version: version, Expires: next.expiry(role, r.now()), Targets: targets})
	if err != nil {
		return nil, err
	}
	p := &pending{Data: doc.Bytes(), Task: newTask(), Since: r.now().UTC().Truncate(time.Second), Deadline: deadline, Delegation: d}
	next.Pending[role] = p
	next.tell(r.name, kindPending, r.event(role, doc, p))
	return doc, nil
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
		if slices.Contains(out.done, name) {
			continue
		}
		doc, waiting := r.drafts[name]
		i := slices.IndexFunc(next.Settings.Delegated, func(d delegation) bool { return d.Name == name })
		if i < 0 && (!waiting || name == trust.RoleRoot) {
			out.refused = append(out.refused, name)
			continue
		}
		if waiting {
			next.drop(r, name, doc, r.state.Pending[name], by)
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
