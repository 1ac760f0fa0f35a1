package project

import (
	"bytes"
	"fmt"
	"time"

	"github.com/lnk-suite/lnk/services/trust"
)

// Changes says in words what next, which is to follow i, changes: one line each, for whoever is to sign it. Nothing that
// differs is left out, also what this package knows no word for.
func (i Identity) Changes(next *trust.Root) []string {
	old := i.Newest()
	spec, err := SpecOf(next)
	if err != nil || old == nil {
		return trust.DiffRoots(old, next)
	}
	was := i.Spec()
	lines := []string{fmt.Sprintf("version %d of the identity of %q (%s), after %d", next.Version(), was.Name, i.URN, i.Version)}
	lines = append(lines, trust.DiffQuorum("the quorum", old, next)...)
	for _, text := range []struct{ name, was, is string }{
		{"name", was.Name, spec.Name}, {"description", was.Description, spec.Description}, {"default branch", was.DefaultBranch, spec.DefaultBranch},
		{"expiry", was.Expires.Format(time.RFC3339), spec.Expires.Format(time.RFC3339)},
	} {
		if text.was != text.is {
			lines = append(lines, fmt.Sprintf("the %s is %q, was %q", text.name, text.is, text.was))
		}
	}
	return append(lines, i.surprises(spec, next)...)
}

// surprises says how next differs from the document that its spec asks for.
func (i Identity) surprises(spec Spec, next *trust.Root) []string {
	plain, err := i.next(spec)
	if err != nil || plain.Version() != next.Version() {
		return trust.DiffRoots(i.Newest(), next)
	}
	if bytes.Equal(plain.Payload(), next.Payload()) {
		return nil
	}
	if lines := trust.DiffRoots(plain, next)[1:]; len(lines) > 0 {
		return append([]string{"besides, it is not what these changes alone would make of it:"}, lines...)
	}
	return []string{"besides, it is written in another way than lnk would write it"}
}
