package trust

import (
	"fmt"
	"maps"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// NamesMember is the member of a document that gives keys the names of their holders, by key id. It has no force: it only
// helps people to see who is meant. It stands beside the keys and not in them, as the id of a key is a hash of all that is in
// it, by the TUF specification.
const NamesMember = "x-lnk-names"

// rstufName is the member of a key in which Repository Service for TUF keeps the same.
const rstufName = "x-rstuf-key-name"

// namesIn returns the names that a document gives to its keys, by key id.
func namesIn(extra map[string]any, all map[string]*metadata.Key) map[string]string {
	names := map[string]string{}
	for id, k := range all {
		if k == nil {
			continue
		}
		if name, ok := k.UnrecognizedFields[rstufName].(string); ok {
			names[id] = name
		}
	}
	members, _ := extra[NamesMember].(map[string]any) // of another form: no names
	for id, value := range members {
		if name, ok := value.(string); ok {
			names[id] = name
		}
	}
	return names
}

// Names returns the names that root gives to keys, by key id.
func (r *Root) Names() map[string]string {
	return namesIn(r.md.Signed.UnrecognizedFields, r.md.Signed.Keys)
}

// names returns those of next, and of previous for keys that only that names.
func names(previous, next *Root) map[string]string {
	all := map[string]string{}
	if previous != nil {
		all = previous.Names()
	}
	maps.Copy(all, next.Names())
	return all
}

// describeKey says whose key it is.
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

// diffNames tells of keys that stay and are called otherwise: whoever signs next time goes by that.
func diffNames(previous, next *Root) (lines []string) {
	was, is := previous.Names(), next.Names()
	after := next.keys()
	for _, id := range slices.Sorted(maps.Keys(previous.keys())) {
		if key, stays := after[id]; stays && was[id] != is[id] {
			lines = append(lines, fmt.Sprintf("the key %s is called %q, was %q", describeKey(key, nil), is[id], was[id]))
		}
	}
	return lines
}

// keys returns every key of the document, by id.
func (r *Root) keys() map[string]Key {
	all := map[string]Key{}
	for _, role := range r.roles {
		for _, k := range role.Keys {
			all[k.ID] = k
		}
	}
	return all
}
