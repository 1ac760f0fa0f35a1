package trustd

import (
	"context"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// matches reports whether the delegation covers a target: "*" and "?" stop at slashes (TUF specification 1.0.34,
// section 4.5).
func (d delegation) matches(target string) bool {
	return slices.ContainsFunc(d.Paths, func(pattern string) bool {
		ok, err := path.Match(pattern, target)
		return err == nil && ok && strings.Count(pattern, "/") == strings.Count(target, "/")
	})
}

// roleFor returns the role that speaks for a target, and who signs it; false if nobody does.
func (r *repository) roleFor(target string) (string, delegation, bool) {
	if bins := r.state.Settings.bins(r.root); bins != nil {
		return bins.Name(bins.For(target)), delegation{}, true
	}
	for _, d := range r.state.Settings.Delegated {
		if d.matches(target) {
			return d.Name, d, true
		}
	}
	return "", delegation{}, false
}

// contents returns the published targets of a role.
func (r *repository) contents(role string) (map[string]trust.Target, error) {
	if r.edition == nil {
		return nil, nil
	}
	version := r.edition.snapshot.Versions[role]
	if version == 0 {
		return nil, nil
	}
	doc, err := r.readTargets(role, version)
	if err != nil {
		return nil, err
	}
	return doc.Spec().Targets, nil
}

// changed returns the targets of a role as they are to be.
func (r *repository) changed(role string, touched []string, s staged) (map[string]trust.Target, error) {
	targets, err := r.contents(role)
	if err != nil {
		return nil, err
	}
	if targets = maps.Clone(targets); targets == nil {
		targets = map[string]trust.Target{}
	}
	for _, target := range touched {
		if info, added := s.Add[target]; added {
			targets[target] = info
		} else {
			delete(targets, target)
		}
	}
	return targets, nil
}

// artifactsRequest adds and removes targets, and publishes them unless told to wait.
type artifactsRequest struct {
	add    map[string]trust.Target
	remove []string
	stage  bool // wait for publish
}

// artifacts changes what clients can download. What cannot be done for one artifact is told and does not keep the others.
func (r *repository) artifacts(ctx context.Context, req artifactsRequest, by caller) (outcome, error) {
	if err := r.finished(); err != nil {
		return outcome{}, err
	}
	next := r.state.clone()
	out := outcome{complete: !req.stage}
	for _, target := range slices.Sorted(maps.Keys(req.add)) {
		if _, _, ok := r.roleFor(target); !ok || admissible(target, req.add[target]) != nil {
			out.refused = append(out.refused, target)
			continue
		}
		next.stageAdd(target, req.add[target])
		out.done = append(out.done, target)
	}
	for _, target := range req.remove {
		known, err := r.knows(target)
		if err != nil {
			return outcome{}, err
		}
		if _, waiting := next.Staged.Add[target]; !known && !waiting {
			out.refused = append(out.refused, target)
			continue
		}
		next.stageRemove(target, known)
		out.done = append(out.done, target)
	}
	if len(out.done) == 0 {
		return out, nil
	}
	if req.stage {
		return out, r.commit(next, nil)
	}
	roles, err := r.release(ctx, next, by)
	r.await(&out, roles)
	return out, err
}

// admissible says whether a target can be signed at all.
func admissible(target string, info trust.Target) error {
	_, err := trust.NewTargets(trust.TargetsSpec{Version: 1, Targets: map[string]trust.Target{target: info}})
	return err
}

func (s *state) stageAdd(target string, info trust.Target) {
	if s.Staged.Add == nil {
		s.Staged.Add = map[string]trust.Target{}
	}
	s.Staged.Add[target] = info
	delete(s.Staged.Remove, target)
}

func (s *state) stageRemove(target string, published bool) {
	delete(s.Staged.Add, target)
	if !published {
		return
	}
	if s.Staged.Remove == nil {
		s.Staged.Remove = map[string]bool{}
	}
	s.Staged.Remove[target] = true
}

func (r *repository) knows(target string) (bool, error) {
	role, _, ok := r.roleFor(target)
	if !ok {
		return false, nil
	}
	targets, err := r.contents(role)
	_, known := targets[target]
	return known, err
}

// publishStaged publishes what is signed by enough and could not be published then, the first root too, and what was only
// staged. It tells the roles that are new.
func (r *repository) publishStaged(ctx context.Context, by caller) (outcome, error) {
	signed, err := r.retry(ctx, by)
	if err == nil {
		err = r.finished()
	}
	if err != nil {
		return outcome{done: signed}, err
	}
	roles, err := r.release(ctx, r.state.clone(), by)
	out := outcome{done: append(signed, roles...), complete: err == nil}
	r.await(&out, roles)
	return out, err
}

// release moves what next has staged into the roles: at once into those that are signed online, as a pending version into
// those that people sign. What belongs to a role that is pending already stays staged.
func (r *repository) release(ctx context.Context, next *state, by caller) ([]string, error) {
	online, people := map[string][]string{}, map[string][]string{}
	all := next.Staged
	next.Staged = staged{}
	for target, info := range all.Add {
		if !r.group(target, online, people) {
			next.stageAdd(target, info)
		}
	}
	for target := range all.Remove {
		if !r.group(target, online, people) {
			next.stageRemove(target, true)
		}
	}
	if len(online)+len(people) == 0 {
		if !next.Staged.empty() {
			return nil, ipc.Errorf(ipc.Conflict, "the artifacts wait: their roles are pending signatures already").
				WithHint("--stage keeps them until " + trust.CommandLine(r.name, "publish", "") + "; what is pending is ended with " +
					trust.CommandLine(r.name, "sign", "ROLE") + " or " + trust.CommandLine(r.name, "cancel", "ROLE"))
		}
		return nil, nil
	}
	roles := slices.Sorted(maps.Keys(online))
	roles = append(roles, slices.Sorted(maps.Keys(people))...)
	return roles, r.apply(ctx, next, all, online, people, by)
}

// group adds a target to those of its role, and reports whether the role can have a new version now.
func (r *repository) group(target string, online, people map[string][]string) bool {
	role, d, ok := r.roleFor(target)
	if !ok || r.drafts[role] != nil {
		return false
	}
	list := online
	if len(d.Keys) > 0 {
		list = people
	}
	list[role] = append(list[role], target)
	return true
}

// apply publishes the roles in online, and makes those in people pending.
func (r *repository) apply(ctx context.Context, next *state, s staged, online, people map[string][]string, by caller) error {
	drafts := map[string]*trust.Targets{}
	for role, touched := range people {
		targets, err := r.changed(role, touched, s)
		if err != nil {
			return err
		}
		if drafts[role], err = r.propose(next, role, targets, time.Time{}, nil); err != nil {
			return err
		}
	}
	var err error
	if len(online) > 0 {
		err = r.publish(ctx, next, change{touched: online, staged: s}, by)
	} else {
		err = r.commit(next, nil)
	}
	if r.state == next {
		for role, doc := range drafts {
			r.drafts[role] = doc
		}
	}
	return err
}

// withTask notes in a target which request has added it, as Repository Service for TUF does when asked to.
func withTask(custom json.RawMessage, task string) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if len(custom) > 0 && string(custom) != "null" {
		if err := json.Unmarshal(custom, &members); err != nil {
			return nil, ipc.Errorf(ipc.BadRequest, "custom is no JSON object: %w", err)
		}
	}
	members["added_by_task_id"] = json.RawMessage(`"` + task + `"`)
	return json.Marshal(members)
}
