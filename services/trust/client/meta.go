package client

import (
	"fmt"
	"strings"

	"github.com/lnk-suite/lnk/services/trust"
)

// The sizes in bytes above which a document is not read, where the metadata gives no other.
const (
	maxTimestamp = 16_384
	maxSnapshot  = 2_000_000
	maxDeclared  = 32 << 20 // what metadata may give at most
)

// meta is what one document says about another.
type meta struct {
	version int64
	length  int64 // in bytes; -1 if it is not said
	hashes  hashes
}

func readMeta(o object) (meta, error) {
	m := meta{length: -1}
	if err := o.read("version", &m.version); err != nil {
		return m, err
	}
	if _, err := o.readOptional("length", &m.length); err != nil {
		return m, err
	}
	if _, err := o.readOptional("hashes", &m.hashes); err != nil {
		return m, err
	}
	if m.version < 1 || m.length < -1 || m.length > maxDeclared {
		return m, fmt.Errorf("version %d with a length of %d bytes", m.version, m.length)
	}
	return m, nil
}

// limit returns the size that the document may have: usual if nothing is said.
func (m meta) limit(usual int64) int64 {
	if m.length >= 0 {
		return m.length
	}
	return usual
}

// check compares a file with what is said about it.
func (m meta) check(data []byte) error {
	length := m.length
	if length < 0 {
		length = int64(len(data))
	}
	if len(m.hashes) == 0 {
		if length != int64(len(data)) {
			return fmt.Errorf("it has %d bytes, not %d", len(data), length)
		}
		return nil
	}
	c, err := m.hashes.checker(length)
	if err != nil {
		return err
	}
	if _, err := c.Write(data); err != nil {
		return err
	}
	return c.end()
}

// timestamp says which snapshot is the current one.
type timestamp struct {
	*document
	snapshot meta
}

func parseTimestamp(data []byte) (*timestamp, error) {
	d, err := parse(data, trust.RoleTimestamp)
	if err != nil {
		return nil, err
	}
	t := &timestamp{document: d}
	var files map[string]object
	if err := d.signed.read("meta", &files); err != nil {
		return nil, err
	}
	if t.snapshot, err = readMeta(files["snapshot.json"]); err != nil {
		return nil, fmt.Errorf("snapshot.json: %w", err)
	}
	return t, nil
}

// snapshot says which version of targets and of every role below is the current one.
type snapshot struct {
	*document
	files map[string]meta // by role name
}

func parseSnapshot(data []byte) (*snapshot, error) {
	d, err := parse(data, trust.RoleSnapshot)
	if err != nil {
		return nil, err
	}
	var files map[string]object
	if err := d.signed.read("meta", &files); err != nil {
		return nil, err
	}
	s := &snapshot{d, make(map[string]meta, len(files))}
	for name, o := range files {
		role, ok := strings.CutSuffix(name, ".json")
		if !ok {
			return nil, fmt.Errorf("%.80q is no name of a document", name)
		}
		if s.files[role], err = readMeta(o); err != nil {
			return nil, fmt.Errorf("%.80q: %w", name, err)
		}
	}
	return s, nil
}

// follows says whether s may take the place of old: it lists every role that old lists, none in an older version (5.5.5).
func (s *snapshot) follows(old *snapshot) error {
	for name, before := range old.files {
		now, ok := s.files[name]
		if !ok {
			return fmt.Errorf("version %d lacks role %.80q, which version %d has", s.version, name, old.version)
		}
		if now.version < before.version {
			return fmt.Errorf("version %d goes back to version %d of role %.80q, from %d", s.version, now.version, name, before.version)
		}
	}
	return nil
}
