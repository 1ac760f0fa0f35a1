package client

import (
	"context"
	"errors"

	"github.com/lnk-suite/lnk/services/trust"
)

// top is the delegation to the top-level targets role.
func (c *Client) top() delegation {
	return delegation{role: c.root.roles[trust.RoleTargets], by: c.root.document, name: trust.RoleTargets}
}

// loaded names a role as one delegator has it: another one may name other keys for the same role.
type loaded struct {
	role string
	by   *document
}

// load returns the current metadata of a targets role, with the signatures that its delegator demands (5.6).
func (c *Client) load(ctx context.Context, d delegation) (*targets, error) {
	if t := c.targets[loaded{d.name, d.by}]; t != nil {
		return t, nil
	}
	expected, ok := c.snapshot.files[d.name]
	if !ok {
		return nil, about(d.name, errors.New("the snapshot does not have this role"))
	}
	t, err := c.latest[d.name], error(nil)
	if t == nil {
		t, err = stored(c, d.name, parseTargets)
	}
	if err != nil {
		return nil, err
	}
	if t == nil || d.verify(t.document) != nil || c.current(t.document, expected) != nil {
		if t, err = c.fetchTargets(ctx, d, expected); err != nil {
			return nil, about(d.name, err)
		}
		if err := c.store.Save(d.name, t.data); err != nil {
			return nil, err
		}
	}
	c.targets[loaded{d.name, d.by}], c.latest[d.name] = t, t
	return t, nil
}

func (c *Client) fetchTargets(ctx context.Context, d delegation, expected meta) (*targets, error) {
	data, err := read(ctx, c.from, c.file(d.name, expected.version), expected.limit(trust.MaxFile))
	if err != nil {
		return nil, err
	}
	if err := expected.check(data); err != nil {
		return nil, err
	}
	t, err := parseTargets(data)
	if err != nil {
		return nil, err
	}
	if err := d.verify(t.document); err != nil {
		return nil, err
	}
	return t, c.current(t.document, expected)
}
