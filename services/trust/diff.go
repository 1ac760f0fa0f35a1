package trust

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// NamesMember is the member of a root document that gives keys the names of their holders, by key id. It has no force:
// it only helps people to see who is meant.
const NamesMember = "x-lnk-names"

// Names returns the names that root gives to keys, by key id.
func (r *Root) Names() map[string]string {
	names := map[string]string{}
	if data, ok := r.Extra(NamesMember); ok {
		_ = json.Unmarshal(data, &names) // of another form: no names
	}
	return names
}

// Spec returns what root says, as a beginning for the next version. Members of the document that this package does not
// know are left out, but for those named x-.
func (r *Root) Spec() RootSpec {
	spec := RootSpec{Version: r.Version(), Expires: r.Expires(), Snapshot: r.ConsistentSnapshot(), Roles: map[string]Role{}, Extra: map[string]json.RawMessage{}}
	for _, name := range topLevelRoles {
		spec.Roles[name] = r.Role(name)
	}
	for name := range r.md.Signed.UnrecognizedFields {
		if data, ok := r.Extra(name); ok {
			spec.Extra[name] = data
		}
	}
	return spec
}

// DiffRoots says in words what next changes against previous, which is nil for a first version: one line each, for whoever
// is to sign it.
func DiffRoots(previous, next *Root) []string {
	names := next.Names()
	if previous == nil {
		lines := []string{fmt.Sprintf("root version %d, the first", next.Version())}
		for _, role := range topLevelRoles {
			r := next.Role(role)
			lines = append(lines, fmt.Sprintf("%s takes %d of %d keys", role, r.Threshold, len(r.Keys)))
			for _, k := range r.Keys {
				lines = append(lines, "  "+describeKey(k, names))
			}
		}
		return append(lines, "expires "+next.Expires().Format(time.RFC3339))
	}
	for id, name := range previous.Names() {
		if _, ok := names[id]; !ok {
			names[id] = name
		}
	}
	lines := []string{fmt.Sprintf("root version %d, after %d", next.Version(), previous.Version())}
	for _, role := range topLevelRoles {
		lines = append(lines, diffRole(role, previous.Role(role), next.Role(role), names)...)
	}
	if !previous.Expires().Equal(next.Expires()) {
		lines = append(lines, fmt.Sprintf("expires %s, was %s", next.Expires().Format(time.RFC3339), previous.Expires().Format(time.RFC3339)))
	}
	return append(lines, diffExtra(previous, next)...)
}

func diffRole(name string, old, new Role, names map[string]string) (lines []string) {
	for _, k := range new.Keys {
		if !old.holds(k) {
			lines = append(lines, fmt.Sprintf("%s gains the key %s", name, describeKey(k, names)))
		}
	}
	for _, k := range old.Keys {
		if !new.holds(k) {
			lines = append(lines, fmt.Sprintf("%s loses the key %s", name, describeKey(k, names)))
		}
	}
	if old.Threshold != new.Threshold {
		lines = append(lines, fmt.Sprintf("%s takes %d signatures, took %d", name, new.Threshold, old.Threshold))
	}
	return lines
}

func (r Role) holds(key Key) bool {
	return slices.ContainsFunc(r.Keys, func(k Key) bool { return string(k.Public) == string(key.Public) })
}

func describeKey(k Key, names map[string]string) string {
	text := k.ID
	if id, err := peer.FromPublicKey(k.Public); err == nil {
		text = string(id)
	}
	if name := names[k.ID]; name != "" {
		return fmt.Sprintf("%s (%q)", text, name)
	}
	return text
}

func diffExtra(previous, next *Root) (lines []string) {
	old, new := previous.Spec().Extra, next.Spec().Extra
	all := maps.Clone(old)
	maps.Copy(all, new)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, b := old[name], new[name]
		switch {
		case a == nil:
			lines = append(lines, fmt.Sprintf("%s is new: %s", name, b))
		case b == nil:
			lines = append(lines, name+" is gone")
		case !sameJSON(a, b):
			lines = append(lines, fmt.Sprintf("%s is %s, was %s", name, b, a))
		}
	}
	return lines
}

func sameJSON(a, b json.RawMessage) bool {
	x, errX := Canonical(a)
	y, errY := Canonical(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// DiffTargets says in words what next changes against previous, which is nil for a first version.
func DiffTargets(previous, next *Targets) []string {
	old := map[string]Target{}
	lines := []string{fmt.Sprintf("version %d", next.Version())}
	if previous != nil {
		old = previous.Spec().Targets
		lines[0] += fmt.Sprintf(", after %d", previous.Version())
	}
	new := next.Spec().Targets
	for _, path := range slices.Sorted(maps.Keys(new)) {
		was, ok := old[path]
		switch {
		case !ok:
			lines = append(lines, fmt.Sprintf("adds %s, %d bytes", path, new[path].Length))
		case !sameTarget(was, new[path]):
			lines = append(lines, fmt.Sprintf("replaces %s, %d bytes", path, new[path].Length))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(old)) {
		if _, ok := new[path]; !ok {
			lines = append(lines, "removes "+path)
		}
	}
	return append(lines, "expires "+next.Expires().Format(time.RFC3339))
}

func sameTarget(a, b Target) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && sameJSON(x, y)
}
