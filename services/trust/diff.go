package trust

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spec returns what root says, as a beginning for the next version. Members of the document that this package does not
// know are left out, but for those named x-.
func (r *Root) Spec() RootSpec {
	spec := RootSpec{Version: r.Version(), Expires: r.Expires(), Snapshot: r.ConsistentSnapshot(), Roles: map[string]Role{}, Names: r.Names(), Extra: map[string]json.RawMessage{}}
	for _, name := range topLevelRoles {
		spec.Roles[name] = r.Role(name)
	}
	for name := range r.md.Signed.UnrecognizedFields {
		if data, ok := r.Extra(name); ok {
			spec.Extra[name] = data
		}
	}
	if len(spec.Names) > 0 {
		delete(spec.Extra, NamesMember)
	}
	return spec
}

// DiffRoots says in words what next changes against previous, which is nil for a first version: one line each, for whoever
// is to sign it.
func DiffRoots(previous, next *Root) []string {
	names := names(previous, next)
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
	lines := []string{fmt.Sprintf("root version %d, after %d", next.Version(), previous.Version())}
	for _, role := range topLevelRoles {
		lines = append(lines, diffRole(role, previous.Role(role), next.Role(role), names)...)
	}
	if !previous.Expires().Equal(next.Expires()) {
		lines = append(lines, fmt.Sprintf("expires %s, was %s", next.Expires().Format(time.RFC3339), previous.Expires().Format(time.RFC3339)))
	}
	return slices.Concat(lines, diffNames(previous, next), diffExtra(previous, next))
}

// DiffQuorum says in words what next changes in who signs roots, which is called name, and in how the keys are called.
func DiffQuorum(name string, previous, next *Root) []string {
	lines := diffRole(name, previous.Role(RoleRoot), next.Role(RoleRoot), names(previous, next))
	return append(lines, diffNames(previous, next)...)
}

func diffRole(name string, old, new Role, names map[string]string) (lines []string) {
	for _, k := range new.Keys {
		if old.Index(k) < 0 {
			lines = append(lines, fmt.Sprintf("%s gains the key %s", name, describeKey(k, names)))
		}
	}
	for _, k := range old.Keys {
		if new.Index(k) < 0 {
			lines = append(lines, fmt.Sprintf("%s loses the key %s", name, describeKey(k, names)))
		}
	}
	switch old.Threshold {
	case new.Threshold:
	case 0: // nobody has signed it before, or the online key
		lines = append(lines, fmt.Sprintf("%s takes %d signatures", name, new.Threshold))
	default:
		lines = append(lines, fmt.Sprintf("%s takes %d signatures, took %d", name, new.Threshold, old.Threshold))
	}
	return lines
}

func diffExtra(previous, next *Root) (lines []string) {
	old, new := previous.Spec().Extra, next.Spec().Extra
	all := maps.Clone(old)
	maps.Copy(all, new)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, b := old[name], new[name]
		switch {
		case a == nil:
			lines = append(lines, fmt.Sprintf("%q is new: %s", name, visible(b)))
		case b == nil:
			lines = append(lines, fmt.Sprintf("%q is gone", name))
		case !sameJSON(a, b):
			lines = append(lines, fmt.Sprintf("%q is %s, was %s", name, visible(b), visible(a)))
		}
	}
	return lines
}

// visible is JSON in which everything that a terminal might not show, or might obey, is escaped.
func visible(data json.RawMessage) string {
	var b strings.Builder
	for _, r := range string(data) {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

func sameJSON(a, b json.RawMessage) bool {
	x, errX := Canonical(a)
	y, errY := Canonical(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// DiffTargets says in words what next changes against previous, which is nil for a first version: with hashes, so that who
// signs can compare them with those of the files.
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
			lines = append(lines, fmt.Sprintf("adds %q, %s", path, new[path]))
		case !sameTarget(was, new[path]):
			lines = append(lines, fmt.Sprintf("replaces %q, %s; was %s", path, new[path], was))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(old)) {
		if _, ok := new[path]; !ok {
			lines = append(lines, fmt.Sprintf("removes %q", path))
		}
	}
	if previous != nil && !previous.Expires().Equal(next.Expires()) {
		return append(lines, fmt.Sprintf("expires %s, was %s", stamp(next.Expires()), stamp(previous.Expires())))
	}
	return append(lines, "expires "+stamp(next.Expires()))
}

// String describes the target for people.
func (t Target) String() string {
	text := fmt.Sprintf("%d bytes", t.Length)
	for _, algorithm := range slices.Sorted(maps.Keys(t.Hashes)) {
		text += ", " + algorithm + " " + t.Hashes[algorithm]
	}
	if len(t.Custom) > 0 {
		text += ", custom " + visible(t.Custom)
	}
	return text
}

func sameTarget(a, b Target) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && sameJSON(x, y)
}

// DiffDelegations says in words what is left to a role by next, against previous, which is nil if nothing was.
func DiffDelegations(previous, next *Delegation) (lines []string) {
	old := Delegation{}
	if previous != nil {
		old = *previous
	}
	for _, path := range next.Paths {
		if !slices.Contains(old.Paths, path) {
			lines = append(lines, fmt.Sprintf("%s may speak for %q", next.Name, path))
		}
	}
	for _, path := range old.Paths {
		if !slices.Contains(next.Paths, path) {
			lines = append(lines, fmt.Sprintf("%s may not speak for %q any more", next.Name, path))
		}
	}
	lines = append(lines, diffRole(next.Name, old.role(), next.role(), next.names())...)
	if previous == nil && next.Terminating || previous != nil && next.Terminating != previous.Terminating {
		lines = append(lines, map[bool]string{true: "clients look no further for its paths", false: "clients look further for its paths"}[next.Terminating])
	}
	return lines
}

// role returns who signs, and no key if that is the online one.
func (d Delegation) role() Role {
	r := Role{Threshold: d.Threshold}
	for _, id := range d.Peers {
		r.Keys = append(r.Keys, Key{ID: string(id), Public: id.PublicKey()})
	}
	if len(r.Keys) == 0 {
		r.Threshold = 0
	}
	return r
}

func (d Delegation) names() map[string]string {
	names := map[string]string{}
	for id, name := range d.Names {
		names[string(id)] = name
	}
	return names
}
