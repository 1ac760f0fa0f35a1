package gitd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// policy is what the owner of a repository has set in its configuration. Git receive-pack would have applied it.
type policy struct {
	denyForced, denyDeletes bool
	read                    time.Time // of the configuration file that it was read from
}

// reviewPolicy applies receive.denyNonFastForwards and receive.denyDeletes; both are off unless set.
func (p *session) reviewPolicy(ctx context.Context, o *order) error {
	rules, err := p.rules(ctx)
	if err != nil {
		return err
	}
	for _, c := range o.open() {
		switch {
		case c.old.IsZero() || c.old == c.new:
		case c.new.IsZero() && rules.denyDeletes:
			c.refused = "deletions are not allowed here (receive.denyDeletes)"
		case !c.new.IsZero() && rules.denyForced && strings.HasPrefix(c.ref, "refs/heads/"):
			if err := p.reviewForced(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *session) reviewForced(ctx context.Context, c *command) error {
	_, err := p.server.engine.output(ctx, nil, "--git-dir="+p.repo.disk.Dir, "merge-base", "--is-ancestor", c.old.String(), c.new.String())
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		c.refused = "it is no fast-forward, and those are not allowed here (receive.denyNonFastForwards)"
		return nil
	}
	return err
}

// rules returns the policy, read again only after the file has changed.
func (p *session) rules(ctx context.Context) (policy, error) {
	path := filepath.Join(p.repo.disk.Dir, "config")
	info, err := os.Stat(path)
	if err != nil {
		return policy{}, fmt.Errorf("cannot read the repository's configuration: %w", err)
	}
	if info.ModTime().Equal(p.repo.policy.read) {
		return p.repo.policy, nil
	}
	rules := policy{read: info.ModTime()}
	text, err := os.ReadFile(path)
	if err != nil {
		return policy{}, fmt.Errorf("cannot read the repository's configuration: %w", err)
	}
	// Usually nothing is set, and no process is worth finding that out.
	if lower := strings.ToLower(string(text)); strings.Contains(lower, "deny") || strings.Contains(lower, "include") {
		if err := p.server.engine.readPolicy(ctx, path, &rules); err != nil {
			return policy{}, err
		}
	}
	p.repo.policy = rules
	return rules, nil
}

func (e *engine) readPolicy(ctx context.Context, path string, rules *policy) (err error) {
	if rules.denyForced, err = e.flag(ctx, path, "receive.denyNonFastForwards"); err != nil {
		return err
	}
	rules.denyDeletes, err = e.flag(ctx, path, "receive.denyDeletes")
	return err
}

// flag reads a boolean variable of a configuration file; unset is false.
func (e *engine) flag(ctx context.Context, path, name string) (bool, error) {
	out, err := e.output(ctx, nil, "config", "--file="+path, "--type=bool", "--get", name)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return false, nil
	}
	return strings.TrimSpace(string(out)) == "true", err
}
