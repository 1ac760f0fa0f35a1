package client

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

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
