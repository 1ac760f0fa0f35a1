package project

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

// Next returns the document that follows i, unsigned; the first one if i is the zero Identity. What spec does not speak
// of stays as it is: further members, and roles that the project has given to other keys than its delegates'. How it
// is signed is trust.Process; the URN of a first version is known once it is: a signature more makes another document.
func (i Identity) Next(spec Spec) (*trust.Root, error) {
	root, err := i.next(spec)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "cannot draft version %d of the identity: %w", i.Version+1, err)
	}
	return root, nil
}

func (i Identity) next(spec Spec) (*trust.Root, error) {
	if err := spec.complete(); err != nil {
		return nil, err
	}
	quorum, err := spec.quorum()
	if err != nil {
		return nil, err
	}
	draft := trust.RootSpec{Roles: map[string]trust.Role{}, Extra: map[string]json.RawMessage{}}
	if newest := i.Newest(); newest != nil {
		draft = newest.Spec()
	}
	draft.Version, draft.Expires, draft.Snapshot = i.Version+1, spec.Expires, true
	follow(draft.Roles, quorum)
	draft.Names = spec.names(quorum)
	if err := spec.describe(draft.Extra); err != nil {
		return nil, err
	}
	return trust.NewRoot(draft)
}

// Signing returns the process that signs what follows i; pending is what waits for signatures, nil for nothing. It
// refuses documents that are not the identity of a project: ipc.Corrupt.
func (i Identity) Signing(pending []byte) (trust.Process, error) {
	if pending == nil {
		return trust.RootProcess(i.Newest(), nil), nil
	}
	root, err := ParseDocument(pending)
	if err != nil {
		return trust.Process{}, err
	}
	return trust.RootProcess(i.Newest(), root), nil
}

// ParseDocument reads one version of an identity document strictly; it verifies no signature.
func ParseDocument(data []byte) (*trust.Root, error) {
	root, err := trust.ParseRoot(data)
	if err != nil {
		return nil, fmt.Errorf("identity document: %w", err)
	}
	if _, err := SpecOf(root); err != nil {
		return nil, ipc.Errorf(ipc.Corrupt, "identity document: %w", err)
	}
	return root, nil
}

// Advance returns the identity with the version that a process has finished at the time now. It lets an unmodified TUF
// client have a look as well. Signatures that are missing are ipc.Conflict.
func (i Identity) Advance(p trust.Process, now time.Time) (Identity, error) {
	doc, err := p.Finish(now)
	if err != nil {
		return Identity{}, fmt.Errorf("identity document: %w", err)
	}
	files := append(i.Files(), doc.Bytes())
	next, err := VerifyChain(files)
	if err != nil {
		return Identity{}, err
	}
	return next, trust.Judge(next.roots)
}

// Newest returns the newest document; nil if i is the zero Identity.
func (i Identity) Newest() *trust.Root {
	if len(i.roots) == 0 {
		return nil
	}
	return i.roots[len(i.roots)-1]
}

// Spec returns what the newest document says, as a beginning for the next.
func (i Identity) Spec() Spec {
	spec, _ := SpecOf(i.Newest()) // it was read before
	return spec
}

func (s Spec) quorum() (trust.Role, error) {
	quorum := trust.Role{Threshold: s.Threshold}
	for _, id := range s.Delegates {
		key, err := trust.NewKey(id.PublicKey())
		if err != nil {
			return quorum, fmt.Errorf("delegate %s: %w", id, err)
		}
		quorum.Keys = append(quorum.Keys, key)
	}
	return quorum, nil
}

// rolesOf are the roles of a project that gives them to nobody but its delegates. These hold all of them: they sign
// releases by quorum, and any one of them may keep snapshot and timestamp, which TUF wants signed often.
func rolesOf(quorum trust.Role) map[string]trust.Role {
	anyone := trust.Role{Keys: quorum.Keys, Threshold: 1}
	return map[string]trust.Role{
		trust.RoleRoot: quorum, trust.RoleTargets: quorum, trust.RoleSnapshot: anyone, trust.RoleTimestamp: anyone,
	}
}

// follow makes the delegates those of quorum in every role that was the delegates'.
func follow(roles map[string]trust.Role, quorum trust.Role) {
	before := rolesOf(roles[trust.RoleRoot])
	for name, role := range rolesOf(quorum) {
		if now, set := roles[name]; !set || sameRole(now, before[name]) {
			roles[name] = role
		}
	}
}

func sameRole(a, b trust.Role) bool {
	points := func(r trust.Role) []string {
		var all []string
		for _, k := range r.Keys {
			all = append(all, string(k.Public))
		}
		return slices.Sorted(slices.Values(all))
	}
	return a.Threshold == b.Threshold && slices.Equal(points(a), points(b))
}

// describe writes what the spec says besides who signs.
func (s Spec) describe(extra map[string]json.RawMessage) error {
	members := map[string]any{}
	if old := extra[extension]; old != nil {
		var kept map[string]json.RawMessage
		if err := json.Unmarshal(old, &kept); err != nil {
			return err
		}
		for name, value := range kept {
			members[name] = value
		}
	}
	maps.Copy(members, map[string]any{"name": s.Name, "description": s.Description, "default_branch": s.DefaultBranch})
	data, err := json.Marshal(members)
	extra[extension] = data
	return err
}

// names returns what people call the delegates, by key id.
func (s Spec) names(quorum trust.Role) map[string]string {
	names := map[string]string{}
	for _, key := range quorum.Keys {
		if id, err := peer.FromPublicKey(key.Public); err == nil && s.Names[id] != "" {
			names[key.ID] = s.Names[id]
		}
	}
	return names
}
