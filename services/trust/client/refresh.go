package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/lnk-suite/lnk/services/trust"
)

// maxRotations is the number of root documents that one refresh fetches at most (5.3.3).
const maxRotations = 256

// refreshRoot follows the root one version at a time, each vouched for by the one before, whether it has expired or not; the
// last one must not have (5.3).
func (c *Client) refreshRoot(ctx context.Context) error {
	for range maxRotations {
		data, err := read(ctx, c.from, fmt.Sprintf("%d.root.json", c.root.version+1), trust.MaxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		next, err := c.root.next(data)
		if err != nil {
			return fmt.Errorf("the version after %d: %w", c.root.version, err)
		}
		if err := c.store.Save(trust.RoleRoot, data); err != nil {
			return err
		}
		c.root = next
	}
	return c.root.fresh(c.now)
}

// recall returns the timestamp and the snapshot that were trusted last, nil where there is none. They are good for noticing a
// repository that goes back, whether they have expired or not. If either is not signed as the root demands today, keys have
// been rotated, and both are forgotten: so a repository gets rid of versions that an attacker has driven up (5.3.11).
func (c *Client) recall() (*timestamp, *snapshot, error) {
	oldTimestamp, err := stored(c, trust.RoleTimestamp, parseTimestamp)
	if err != nil {
		return nil, nil, err
	}
	oldSnapshot, err := stored(c, trust.RoleSnapshot, parseSnapshot)
	if err != nil {
		return nil, nil, err
	}
	if oldTimestamp != nil && c.root.roles[trust.RoleTimestamp].verify(oldTimestamp.document) != nil ||
		oldSnapshot != nil && c.root.roles[trust.RoleSnapshot].verify(oldSnapshot.document) != nil {
		return nil, nil, nil
	}
	return oldTimestamp, oldSnapshot, nil
}

// stored reads a document of the store. One that cannot be read as what it should be is none.
func stored[D any](c *Client, role string, parse func([]byte) (*D, error)) (*D, error) {
	data, err := c.store.Load(role)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := parse(data)
	if err != nil {
		return nil, nil
	}
	return d, nil
}

// refreshTimestamp is 5.4. The same version again is no news, whatever it says.
func (c *Client) refreshTimestamp(ctx context.Context, old *timestamp) error {
	data, err := read(ctx, c.from, "timestamp.json", maxTimestamp)
	if err != nil {
		return err
	}
	next, err := parseTimestamp(data)
	if err != nil {
		return err
	}
	if err := c.root.roles[trust.RoleTimestamp].verify(next.document); err != nil {
		return err
	}
	if old != nil {
		switch {
		case next.version < old.version:
			return fmt.Errorf("version %d is older than version %d, which was seen before", next.version, old.version)
		case next.version == old.version:
			c.timestamp = old
			return old.fresh(c.now)
		case next.snapshot.version < old.snapshot.version:
			return fmt.Errorf("version %d goes back to version %d of snapshot, from %d", next.version, next.snapshot.version, old.snapshot.version)
		}
	}
	if err := next.fresh(c.now); err != nil {
		return err
	}
	c.timestamp = next
	return c.store.Save(trust.RoleTimestamp, data)
}

// refreshSnapshot is 5.5. The one that was trusted before is not fetched again if it still is the current one.
func (c *Client) refreshSnapshot(ctx context.Context, old *snapshot) error {
	expected := c.timestamp.snapshot
	if old != nil && c.current(old.document, expected) == nil {
		c.snapshot = old
		return nil
	}
	data, err := read(ctx, c.from, c.file(trust.RoleSnapshot, expected.version), expected.limit(maxSnapshot))
	if err != nil {
		return err
	}
	if err := expected.check(data); err != nil {
		return err
	}
	next, err := parseSnapshot(data)
	if err != nil {
		return err
	}
	if err := c.root.roles[trust.RoleSnapshot].verify(next.document); err != nil {
		return err
	}
	if old != nil {
		if err := next.follows(old); err != nil {
			return err
		}
	}
	if err := c.current(next.document, expected); err != nil {
		return err
	}
	c.snapshot = next
	return c.store.Save(trust.RoleSnapshot, data)
}

// current says whether a document is the one that is expected now, and has not expired.
func (c *Client) current(d *document, expected meta) error {
	if d.version != expected.version {
		return fmt.Errorf("it has version %d, not %d", d.version, expected.version)
	}
	if err := expected.check(d.data); err != nil {
		return err
	}
	return d.fresh(c.now)
}

// file names a document in the repository.
func (c *Client) file(role string, version int64) string {
	if c.root.consistent {
		return fmt.Sprintf("%d.%s.json", version, escape(role))
	}
	return escape(role) + ".json"
}
