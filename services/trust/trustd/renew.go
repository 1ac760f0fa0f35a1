package trustd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// warnDays are how many days before the end of a role that people sign they are told, each once.
var warnDays = [...]int{1, 7, 14, int(trust.WarnBefore / (24 * time.Hour))}

// renew does what time demands: it publishes what is signed by enough and could not be published then, makes new versions of
// what expires within an hour (rule R14), and warns of what only people can sign.
func (r *repository) renew(ctx context.Context, by caller) (outcome, error) {
	_, failed := r.retry(ctx, by)
	if r.root == nil {
		return outcome{}, failed
	}
	if err := r.warn(); err != nil {
		return outcome{}, errors.Join(failed, err)
	}
	due, err := r.due()
	if err != nil || len(due) == 0 {
		return outcome{complete: true}, errors.Join(failed, err)
	}
	err = r.publish(ctx, r.state.clone(), change{bump: due}, by)
	return outcome{done: slices.Sorted(maps.Keys(due)), complete: err == nil}, errors.Join(failed, err)
}

// endOverdue ends the signing processes whose deadline has passed.
func (r *repository) endOverdue() error {
	var overdue []string
	for role, p := range r.state.Pending {
		if !p.Deadline.IsZero() && !p.Deadline.After(r.now()) {
			overdue = append(overdue, role)
		}
	}
	if len(overdue) == 0 {
		return nil
	}
	next := r.state.clone()
	for _, role := range overdue {
		p := r.state.Pending[role]
		next.drop(r, role, r.drafts[role], p, caller{who: "the deadline " + p.Deadline.Format(time.RFC3339)})
	}
	if err := r.commit(next, nil); err != nil {
		return err
	}
	for _, role := range overdue {
		delete(r.drafts, role)
	}
	return nil
}

// due lists the roles signed online that expire within the hour.
func (r *repository) due() (map[string]bool, error) {
	ends, err := r.ends()
	if err != nil {
		return nil, err
	}
	due := map[string]bool{}
	online := append(r.onlineRoles(), trust.RoleTargets, trust.RoleSnapshot, trust.RoleTimestamp)
	for _, role := range online {
		if ends[role].Sub(r.now()) < renewBefore {
			due[role] = true
		}
	}
	return due, nil
}

// ends returns when each role but root expires.
func (r *repository) ends() (map[string]time.Time, error) {
	if r.binEnds == nil {
		ends := make(map[string]time.Time, len(r.edition.snapshot.Versions))
		for role, version := range r.edition.snapshot.Versions {
			if role == trust.RoleTargets {
				continue
			}
			doc, err := r.readTargets(role, version)
			if err != nil {
				return nil, err
			}
			ends[role] = doc.Expires()
		}
		r.binEnds = ends
	}
	all := maps.Clone(r.binEnds)
	all[trust.RoleTargets] = r.edition.targets.Expires()
	all[trust.RoleSnapshot], all[trust.RoleTimestamp] = r.edition.snapshot.Expires, r.edition.timestamp.Expires
	return all, nil
}

// warn tells about the roles that people sign, each time a shorter notice is reached.
func (r *repository) warn() error {
	next := r.state.clone()
	warned := map[string]int{}
	news := false
	for role, doc := range r.peoples() {
		key := fmt.Sprintf("%s.%d", role, doc.Version())
		left := doc.Expires().Sub(r.now())
		notice := r.state.Warned[key]
		for _, days := range warnDays {
			if left <= time.Duration(days)*24*time.Hour && (notice == 0 || days < notice) {
				notice, news = days, true
				next.tell(r.name, kindExpiring, trust.Event{Role: role, Version: doc.Version(), Digest: digest(doc), Expires: doc.Expires()})
				break
			}
		}
		if notice > 0 {
			warned[key] = notice
		}
	}
	if !news {
		return nil
	}
	next.Warned = warned
	return r.commit(next, nil)
}

// peoples returns the published documents that people sign.
func (r *repository) peoples() map[string]trust.Document {
	all := map[string]trust.Document{trust.RoleRoot: r.root}
	for _, d := range r.state.Settings.Delegated {
		version := r.edition.snapshot.Versions[d.Name]
		if len(d.Keys) == 0 || version == 0 {
			continue
		}
		if doc, err := r.readTargets(d.Name, version); err == nil {
			all[d.Name] = doc
		}
	}
	return all
}

// renewRoles makes new versions of roles: those that are signed online at once, those that people sign as proposals with the
// same targets. No role: all that are signed online.
func (r *repository) renewRoles(ctx context.Context, roles []string, deadline time.Time, by caller) (outcome, error) {
	if err := r.finished(); err != nil {
		return outcome{}, err
	}
	var online, people []string
	for _, role := range roles {
		if d, known := r.state.Settings.delegation(role); known && len(d.Keys) > 0 {
			people = append(people, role)
		} else {
			online = append(online, role)
		}
	}
	out := outcome{}
	if len(online) > 0 || len(people) == 0 {
		var err error
		if out, err = r.force(ctx, online, by); err != nil {
			return out, err
		}
	}
	err := r.proposeSame(people, deadline)
	r.await(&out, people)
	return out, err
}

// proposeSame makes the next versions of roles that people sign, which only expire later.
func (r *repository) proposeSame(roles []string, deadline time.Time) error {
	if len(roles) == 0 {
		return nil
	}
	next := r.state.clone()
	drafts := map[string]*trust.Targets{}
	for _, role := range roles {
		if r.drafts[role] != nil {
			return r.pendingAlready(role)
		}
		targets, err := r.contents(role)
		if err != nil {
			return err
		}
		if drafts[role], err = r.propose(next, role, targets, deadline, nil); err != nil {
			return err
		}
	}
	if err := r.commit(next, nil); err != nil {
		return err
	}
	for role, doc := range drafts {
		r.drafts[role] = doc
	}
	return nil
}

// force makes new versions of roles signed online (rule R16): of a role and of those that name it. No role: all.
func (r *repository) force(ctx context.Context, roles []string, by caller) (outcome, error) {
	if err := r.finished(); err != nil {
		return outcome{}, err
	}
	bump := map[string]bool{}
	below := func() {
		for _, role := range r.onlineRoles() {
			bump[role] = true
		}
	}
	for _, role := range roles {
		switch {
		case role == roleBins && r.state.Settings.Bins > 0:
			below()
		case role == trust.RoleTargets || role == trust.RoleSnapshot || role == trust.RoleTimestamp, r.signsOnline(role):
			bump[role] = true
		default:
			return outcome{}, ipc.Errorf(ipc.BadRequest, "%s is not a role that is signed online", role).WithHint("for the next version of root: " + trust.CommandLine(r.name, "update", ""))
		}
	}
	if len(roles) == 0 {
		below()
		bump[trust.RoleTargets], bump[trust.RoleSnapshot], bump[trust.RoleTimestamp] = true, true, true
	}
	err := r.publish(ctx, r.state.clone(), change{bump: bump}, by)
	return outcome{done: slices.Sorted(maps.Keys(bump)), complete: err == nil}, err
}

// configure changes for how many days new versions of roles are good (rule R17): only roles that have such a setting.
func (r *repository) configure(expiration map[string]int) (outcome, error) {
	if err := r.finished(); err != nil {
		return outcome{}, err
	}
	next := r.state.clone()
	var out outcome
	for _, role := range slices.Sorted(maps.Keys(expiration)) {
		if _, known := next.Settings.Expiration[role]; !known || expiration[role] < 1 || expiration[role] > maxDays {
			out.refused = append(out.refused, role)
			continue
		}
		next.Settings.Expiration[role] = expiration[role]
		out.done = append(out.done, role)
	}
	out.complete = true
	if len(out.done) == 0 {
		return out, nil
	}
	return out, r.commit(next, nil)
}

// maxDays bounds how long a version may be good: a hundred years.
const maxDays = 36500
