package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/lnk-suite/lnk/ipc"
)

// MaxRoot is the size in bytes above which a root document is not read: what go-tuf's client takes by default. The part
// that is signed must also fit an ssh-agent request (MaxPayload).
const MaxRoot = 512_000

// MaxPayload is the size in bytes of the canonical form above which a document cannot be signed by an ssh-agent, whose
// messages end at 256 KiB.
const MaxPayload = 260_000

// maxEntries bounds signatures and keys, each: some take time, and go-tuf's checks time in proportion to the square.
const maxEntries = 1024

// Root is a root document: who may sign what, for everything that hangs on it. It never changes; signing makes another.
type Root struct {
	data       []byte
	payload    []byte
	md         *metadata.Metadata[metadata.RootType]
	roles      map[string]Role
	signatures []Signature
	good       verified
}

// RootSpec is what a new root document says.
type RootSpec struct {
	Version  int64                      // 1 for the first, then one more each time
	Expires  time.Time                  // kept to the second
	Roles    map[string]Role            // all four
	Names    map[string]string          // what people call the keys, by key id (NamesMember)
	Extra    map[string]json.RawMessage // further members of the signed part, named x-<vendor>-<name>
	Snapshot bool                       // consistent_snapshot: versions in the file names of what hangs on this root
}

// NewRoot returns an unsigned root document. It refuses what ParseRoot would refuse.
func NewRoot(spec RootSpec) (*Root, error) {
	md := metadata.Root(spec.Expires.UTC().Truncate(time.Second))
	md.Signed.Version, md.Signed.ConsistentSnapshot = spec.Version, spec.Snapshot
	md.Signed.UnrecognizedFields = make(map[string]any, len(spec.Extra))
	for name, value := range spec.Extra {
		if !strings.HasPrefix(name, "x-") {
			return nil, fmt.Errorf("cannot make root document: member %q does not begin with x-", name)
		}
		md.Signed.UnrecognizedFields[name] = value
	}
	if len(spec.Names) > 0 {
		md.Signed.UnrecognizedFields[NamesMember] = spec.Names
	}
	for name, role := range spec.Roles {
		md.Signed.Roles[name] = tufRole(role, md.Signed.Keys)
	}
	signed, err := json.MarshalIndent(md.Signed, "\t", "\t")
	if err != nil {
		return nil, fmt.Errorf("cannot make root document: %w", err)
	}
	data, err := writeDocument(map[string]json.RawMessage{"signed": signed}, nil)
	if err != nil {
		return nil, err
	}
	return ParseRoot(data)
}

func tufRole(role Role, all map[string]*metadata.Key) *metadata.Role {
	r := &metadata.Role{Threshold: role.Threshold, KeyIDs: []string{}}
	for _, k := range role.Keys {
		all[k.ID] = tufKey(k.Public)
		r.KeyIDs = append(r.KeyIDs, k.ID)
	}
	return r
}

// ParseRoot reads a root document strictly and checks that it makes sense by itself; it verifies no signature. Its
// errors have code ipc.Corrupt, or ipc.TooLarge.
func ParseRoot(data []byte) (*Root, error) {
	if len(data) > MaxRoot {
		return nil, ipc.Errorf(ipc.TooLarge, "root document has %d bytes, the limit is %d", len(data), MaxRoot)
	}
	r, err := parseRoot(bytes.Clone(data))
	if err != nil {
		return nil, ipc.Errorf(ipc.Corrupt, "root document: %w", err)
	}
	return r, nil
}

func parseRoot(data []byte) (*Root, error) {
	md, payload, err := readStrictly[metadata.RootType](data, countEntries)
	if err != nil {
		return nil, err
	}
	r := &Root{data: data, md: md, payload: payload}
	if r.signatures, err = readSignatures(md.Signatures); err != nil {
		return nil, err
	}
	return r, r.read()
}

// readStrictly reads a document as go-tuf does, and refuses what it and others would read differently. What go-tuf cannot bear
// check refuses before.
func readStrictly[T metadata.Roles](data []byte, check func([]byte) error) (md *metadata.Metadata[T], payload []byte, err error) {
	whole, err := Canonical(data)
	if err != nil {
		return nil, nil, err
	}
	if err := check(data); err != nil {
		return nil, nil, err
	}
	if md, err = new(metadata.Metadata[T]).FromBytes(data); err != nil {
		return nil, nil, err
	}
	if err := sameToOthers(whole, md); err != nil {
		return nil, nil, err
	}
	payload, err = canonicalOf(md.Signed)
	return md, payload, err
}

func countEntries(data []byte) error {
	var file struct {
		Signatures []struct{} `json:"signatures"`
		Signed     struct {
			Keys map[string]struct{} `json:"keys"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	if n := max(len(file.Signatures), len(file.Signed.Keys)); n > maxEntries {
		return fmt.Errorf("%d signatures or keys, the limit is %d", n, maxEntries)
	}
	return nil
}

// sameToOthers compares what we read with what go-tuf would write. They differ where a reader would take a member in
// another case for the real one, round a number or rewrite a date: the signature would cover something else for it.
func sameToOthers(whole []byte, md any) error {
	again, err := canonicalOf(md)
	if err != nil {
		return err
	}
	if !bytes.Equal(whole, again) {
		return errors.New("some values are not in the form that TUF clients write, so that they would read it differently")
	}
	return nil
}

func canonicalOf(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Canonical(data)
}

func (r *Root) read() error {
	s := &r.md.Signed
	if !strings.HasPrefix(s.SpecVersion, "1.") {
		return fmt.Errorf("TUF specification %.20q is not supported", s.SpecVersion)
	}
	if s.Version < 1 {
		return fmt.Errorf("version %d", s.Version)
	}
	if s.Expires.Nanosecond() != 0 || s.Expires.Location() != time.UTC {
		return errors.New("the date of expiry is not UTC in whole seconds")
	}
	if len(r.payload) > MaxPayload {
		return fmt.Errorf("what has to be signed takes %d bytes, the limit is %d", len(r.payload), MaxPayload)
	}
	return r.readRoles()
}

func (r *Root) readRoles() error {
	all := make(map[string]Key, len(r.md.Signed.Keys))
	for id, k := range r.md.Signed.Keys {
		key, err := readKey(id, k)
		if err != nil {
			return err
		}
		all[id] = key
	}
	if len(r.md.Signed.Roles) != len(topLevelRoles) {
		return fmt.Errorf("roles %v, want %v", slices.Sorted(maps.Keys(r.md.Signed.Roles)), topLevelRoles)
	}
	r.roles = make(map[string]Role, len(topLevelRoles))
	for _, name := range topLevelRoles {
		role, err := readRole(name, r.md.Signed.Roles[name], all)
		if err != nil {
			return err
		}
		r.roles[name] = role
	}
	return nil
}

// Bytes returns the document as it was read or made. The caller must not change it.
func (r *Root) Bytes() []byte { return r.data }

// Payload returns the canonical bytes that its signatures cover. The caller must not change it.
func (r *Root) Payload() []byte { return r.payload }

// Version returns the number of the document in its chain, from 1.
func (r *Root) Version() int64 { return r.md.Signed.Version }

// Expires returns the time after which TUF clients refuse to go on with the document.
func (r *Root) Expires() time.Time { return r.md.Signed.Expires }

// ConsistentSnapshot reports whether file names carry versions, as everything that this suite publishes does.
func (r *Root) ConsistentSnapshot() bool { return r.md.Signed.ConsistentSnapshot }

// Role returns one of the four top-level roles, RoleRoot and so on; an empty role for any other name.
func (r *Root) Role(name string) Role {
	role := r.roles[name]
	role.Keys = slices.Clone(role.Keys)
	return role
}

// Signatures returns the signatures that the document carries, valid or not.
func (r *Root) Signatures() []Signature { return slices.Clone(r.signatures) }

// Extra returns a further member of the signed part ("x-lnk-project") as JSON, and whether there is one.
func (r *Root) Extra(name string) (json.RawMessage, bool) {
	var file struct {
		Signed map[string]json.RawMessage `json:"signed"`
	}
	if json.Unmarshal(r.data, &file) != nil { // cannot be: it was parsed before
		return nil, false
	}
	value, ok := file.Signed[name]
	return value, ok
}
