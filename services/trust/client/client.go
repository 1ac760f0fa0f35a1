package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// maxRotations is the number of root documents that one refresh fetches at most (5.3.3).
const maxRotations = 256

// Client follows one repository. It is not for concurrent use.
type Client struct {
	store Store
	from  Source
	now   time.Time

	root      *root
	timestamp *timestamp
	snapshot  *snapshot
	targets   map[loaded]*targets
	latest    map[string]*targets // by role name, whoever it was loaded for
}

// Init makes a root document the one that store begins with. It must be signed as it says itself: ipc.Corrupt if not. A store
// that has begun with another is ipc.AlreadyExists; it would forget what it has seen.
func Init(store Store, data []byte) error {
	if _, err := parseFirst(data); err != nil {
		return ipc.Errorf(ipc.Corrupt, "root: %w", err)
	}
	old, err := store.Load(trust.RoleRoot)
	switch {
	case err == nil && string(old) == string(data):
		return nil
	case err == nil:
		return ipc.Errorf(ipc.AlreadyExists, "there is a root document already").WithHint("remove the metadata folder to begin anew")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return store.Save(trust.RoleRoot, data)
}

// First fetches the first root document that a repository has. To begin with it is to believe the repository about itself.
func First(ctx context.Context, from Source) ([]byte, error) {
	data, err := read(ctx, from, "1.root.json", trust.MaxRoot)
	if err != nil {
		return nil, about(trust.RoleRoot, err)
	}
	return data, nil
}

// New returns a client that trusts the root document in store and fetches metadata from a source. The time now is what
// documents must not have expired at; it stays the same, however long the client works (5.1).
func New(store Store, from Source, now time.Time) (*Client, error) {
	data, err := store.Load(trust.RoleRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ipc.Errorf(ipc.NotFound, "there is no root document to begin with").WithHint("bring the first one with init")
	}
	if err != nil {
		return nil, err
	}
	first, err := parseFirst(data)
	if err != nil {
		return nil, ipc.Errorf(ipc.Corrupt, "the trusted root: %w", err)
	}
	return &Client{store: store, from: from, now: now, root: first, targets: map[loaded]*targets{}, latest: map[string]*targets{}}, nil
}

// Refresh fetches what is new in the metadata of the top-level roles, and trusts it if it may. What was trusted of earlier
// roles stays so when a later one fails. Errors have code ipc.Corrupt if a document may not be trusted, ipc.TooLarge,
// ipc.Unavailable if one cannot be fetched, or are those of the store.
func (c *Client) Refresh(ctx context.Context) error {
	if err := c.refreshRoot(ctx); err != nil {
		return about(trust.RoleRoot, err)
	}
	oldTimestamp, oldSnapshot, err := c.recall()
	if err != nil {
		return err
	}
	if err := c.refreshTimestamp(ctx, oldTimestamp); err != nil {
		return about(trust.RoleTimestamp, err)
	}
	if err := c.refreshSnapshot(ctx, oldSnapshot); err != nil {
		return about(trust.RoleSnapshot, err)
	}
	_, err = c.load(ctx, c.top())
	return err
}

// about names the role or target that an error is about. What has no code is the fault of a document.
func about(role string, err error) error {
	code := ipc.Corrupt
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = ipc.NotFound
	case errors.As(err, new(*ipc.Error)), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code = ipc.CodeOf(err)
	}
	return ipc.Errorf(code, "%s: %w", plain(role), err)
}

// top is the delegation to the top-level targets role.
func (c *Client) top() delegation {
	return delegation{role: c.root.roles[trust.RoleTargets], by: c.root.document, name: trust.RoleTargets}
}

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
