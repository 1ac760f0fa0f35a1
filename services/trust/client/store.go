package client

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lnk-suite/lnk/services/profile"
)

// Store keeps the metadata that is trusted, one document for each role.
type Store interface {
	Load(role string) ([]byte, error) // fs.ErrNotExist if there is none
	Save(role string, data []byte) error
}

// Folder keeps metadata in a folder, in files that are named <role>.json and replaced whole.
type Folder struct {
	dir  string
	lock *os.File
}

// OpenFolder waits until no other process uses the folder, which it makes if need be, or ctx ends.
func OpenFolder(ctx context.Context, dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := profile.Lock(ctx, lock); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	f := &Folder{dir, lock}
	if err := profile.Sweep(dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close lets others use the folder.
func (f *Folder) Close() error { return f.lock.Close() }

func (f *Folder) path(role string) string { return filepath.Join(f.dir, escape(role)+".json") }

// Load implements Store.
func (f *Folder) Load(role string) ([]byte, error) { return os.ReadFile(f.path(role)) }

// Save implements Store.
func (f *Folder) Save(role string, data []byte) error {
	return profile.WriteFile(f.path(role), data, 0o644)
}

// Memory keeps metadata until the process ends.
type Memory map[string][]byte

// Load implements Store.
func (m Memory) Load(role string) ([]byte, error) {
	if data, ok := m[role]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

// Save implements Store.
func (m Memory) Save(role string, data []byte) error {
	m[role] = data
	return nil
}

// escape makes one plain name of a name that may hold anything: letters, digits, "-", "_", "." and "~" stay, every other byte
// is written as %XX (RFC 3986, section 2.3).
func escape(name string) string { return strings.ReplaceAll(url.QueryEscape(name), "+", "%20") }

// plain is for showing people what a document says: quoted where a terminal could take it for a command.
func plain(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

// escapePath is escape for a path, whose slashes stay.
func escapePath(name string) string { return strings.ReplaceAll(escape(name), "%2F", "/") }
