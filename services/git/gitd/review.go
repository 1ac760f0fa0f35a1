package gitd

import (
	"context"
	"fmt"
	"strings"

	"github.com/lnk-suite/lnk/services/project"
)

// review says what speaks against each command. Git receive-pack leaves all of these checks to whoever owns the updates
// (githooks, proc-receive), except that objects are there and whole.
func (p *session) review(ctx context.Context, o *order) error {
	for _, c := range o.open() {
		c.refused = checkName(c.ref)
	}
	if err := p.reviewPositions(ctx, o); err != nil {
		return err
	}
	s, err := p.known(ctx)
	if err != nil {
		return err
	}
	for _, c := range o.open() {
		if c.ref == s.branch() && c.new.IsZero() && !c.old.IsZero() {
			c.refused = "the project's default branch cannot be deleted"
		}
	}
	if err := p.reviewKinds(ctx, o); err != nil {
		return err
	}
	return p.reviewPolicy(ctx, o)
}

// checkName returns why nobody may push to a ref, "" if they may.
func checkName(ref string) string {
	switch {
	case strings.HasPrefix(ref, "refs/rad/"):
		return "refs/rad/ belongs to lnk, nobody pushes to it"
	case strings.HasPrefix(ref, "refs/namespaces/"):
		return "a push reaches your own namespace only, the name must not say so"
	}
	if err := project.CheckRef(ref); err != nil {
		return err.Error()
	}
	return ""
}

// reviewPositions refuses commands whose ref is not where the client saw it. Before it says so it looks at the disk.
func (p *session) reviewPositions(ctx context.Context, o *order) error {
	s, err := p.known(ctx)
	if err != nil {
		return err
	}
	if !o.anyElsewhere(s) {
		return nil
	}
	p.repo.state = nil
	if s, err = p.known(ctx); err != nil {
		return err
	}
	for _, c := range o.open() {
		if now := s.refs[c.ref]; now != c.old {
			c.refused = moved(now)
		}
	}
	return nil
}

func (o *order) anyElsewhere(s *state) bool {
	for _, c := range o.open() {
		if s.refs[c.ref] != c.old {
			return true
		}
	}
	return false
}

func moved(now project.OID) string {
	if now.IsZero() {
		return "somebody else has deleted it meanwhile: fetch, then push again"
	}
	return fmt.Sprintf("somebody else has moved it to %.10s meanwhile: fetch, then push again", now)
}

// changes returns the open commands that change something. A client may ask for what is so already; that is fine, and
// no event.
func (o *order) changes() []*command {
	var changes []*command
	for _, c := range o.open() {
		if c.old != c.new {
			changes = append(changes, c)
		}
	}
	return changes
}

// reviewKinds refuses branches that are not commits, which git itself would not notice inside a namespace.
func (p *session) reviewKinds(ctx context.Context, o *order) error {
	kinds := kindReader{engine: p.server.engine, repo: p.repo.disk.Dir}
	for _, c := range o.open() {
		if c.new.IsZero() || c.old == c.new {
			continue
		}
		kinds.want(c.new)
	}
	found, err := kinds.read(ctx)
	if err != nil {
		return err
	}
	for _, c := range o.open() {
		kind, asked := found[c.new]
		switch {
		case !asked:
		case kind == "":
			c.refused = "the object is missing"
		case strings.HasPrefix(c.ref, "refs/heads/") && kind != "commit":
			c.refused = fmt.Sprintf("a branch must be a commit, this is a %s", kind)
		}
	}
	return nil
}
