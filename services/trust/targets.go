package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
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

// Target is what metadata says about one file that clients download.
type Target struct {
	Length int64             `json:"length"`           // bytes
	Hashes map[string]string `json:"hashes"`           // by algorithm, in lower-case hexadecimal
	Custom json.RawMessage   `json:"custom,omitempty"` // any JSON object; numbers must be integers
}

// Delegated is a role to which targets metadata leaves some paths.
type Delegated struct {
	Name        string
	Role        Role
	Paths       []string // patterns as TUF knows them: "*" stops at a slash
	Terminating bool
}

// Bins delegates every path to one of 2^Bits roles by the path's SHA-256 (TAP 15). All have the same keys.
type Bins struct {
	Role   Role
	Prefix string
	Bits   int // 1 to 14
}

// Count returns the number of bins.
func (b Bins) Count() int { return 1 << b.Bits }

// Name returns the role name of bin number i.
func (b Bins) Name(i int) string {
	return fmt.Sprintf("%s-%0*x", b.Prefix, len(fmt.Sprintf("%x", b.Count()-1)), i)
}

// For returns the number of the bin that holds path.
func (b Bins) For(path string) int {
	sum := sha256.Sum256([]byte(path))
	return int(binary.BigEndian.Uint32(sum[:4]) >> (32 - b.Bits))
}

// TargetsSpec is what targets metadata says, of the top-level role or a delegated one.
type TargetsSpec struct {
	Version   int64
	Expires   time.Time // kept to the second
	Targets   map[string]Target
	Delegated []Delegated       // in order of preference
	Bins      *Bins             // instead of Delegated
	Names     map[string]string // what people call the keys of Delegated, by key id
}

// Targets is targets metadata. It never changes; signing makes another.
type Targets struct {
	*File
	spec TargetsSpec
}

// Spec returns what the document says. The caller must not change it.
func (t *Targets) Spec() TargetsSpec { return t.spec }

// Delegated returns the role that the document leaves the name to, a bin's too, and whether there is one.
func (t *Targets) Delegated(name string) (Role, bool) {
	for _, d := range t.spec.Delegated {
		if d.Name == name {
			return d.Role, true
		}
	}
	if b := t.spec.Bins; b != nil {
		for i := range b.Count() {
			if b.Name(i) == name {
				return b.Role, true
			}
		}
	}
	return Role{}, false
}

// With returns t with another signed or unsigned file of the same content.
func (t *Targets) With(f *File) *Targets { return &Targets{f, t.spec} }

const (
	maxBits    = 14 // 16,384 bins, as Repository Service for TUF allows
	maxPath    = 1024
	maxTargets = 100_000
)

// NewTargets returns unsigned targets metadata. Its errors have code ipc.BadRequest.
func NewTargets(spec TargetsSpec) (*Targets, error) {
	if err := spec.check(); err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "cannot make targets metadata: %w", err)
	}
	payload, err := canonicalOf(spec.metadata())
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "cannot make targets metadata: %w", err)
	}
	if !json.Valid(payload) { // canonical text may hold raw control characters, which JSON may not
		return nil, ipc.Errorf(ipc.BadRequest, "cannot make targets metadata: some text holds control characters")
	}
	f, err := newFile(RoleTargets, payload, spec.Version, spec.Expires.UTC().Truncate(time.Second))
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	return &Targets{f, spec}, nil
}

func (s TargetsSpec) check() error {
	if len(s.Targets) > maxTargets {
		return fmt.Errorf("%d targets, the limit is %d", len(s.Targets), maxTargets)
	}
	for path, t := range s.Targets {
		if err := CheckTarget(path, t); err != nil {
			return err
		}
	}
	if b := s.Bins; b != nil {
		if b.Bits < 1 || b.Bits > maxBits || len(s.Delegated) > 0 {
			return fmt.Errorf("hash bins of %d bits beside %d delegations", b.Bits, len(s.Delegated))
		}
		if err := CheckRoleName(b.Prefix); err != nil {
			return err
		}
		return b.Role.check()
	}
	return checkDelegated(s.Delegated)
}

func checkDelegated(list []Delegated) error {
	seen := map[string]bool{}
	for _, d := range list {
		if err := CheckRoleName(d.Name); err != nil {
			return err
		}
		if seen[d.Name] {
			return fmt.Errorf("role %s is delegated to twice", d.Name)
		}
		seen[d.Name] = true
		if len(d.Paths) == 0 || slices.Contains(d.Paths, "") {
			return fmt.Errorf("role %s has no path, or an empty one", d.Name)
		}
		if err := d.Role.check(); err != nil {
			return fmt.Errorf("role %s: %w", d.Name, err)
		}
	}
	return nil
}

// hashSizes are how long the hashes are that clients check, in bytes. Others they pass over.
var hashSizes = map[string]int{"sha256": sha256.Size, "sha512": sha512.Size}

// CheckTarget refuses a target that clients could not fetch or that would lie outside the folder of targets.
func CheckTarget(path string, t Target) error {
	bad := path == "" || len(path) > maxPath || strings.HasPrefix(path, "/") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f })
	for _, part := range strings.Split(path, "/") {
		bad = bad || part == "" || part == "." || part == ".."
	}
	if bad {
		return fmt.Errorf("target path %.100q is not a relative path of plain names", path)
	}
	if t.Length < 0 || t.Length > maxInteger || len(t.Hashes) == 0 {
		return fmt.Errorf("target %s: length %d with %d hashes", path, t.Length, len(t.Hashes))
	}
	for algorithm, sum := range t.Hashes {
		if size, known := hashSizes[algorithm]; known && len(sum) != 2*size {
			return fmt.Errorf("target %s: a %s hash has %d bytes, not %d", path, algorithm, size, len(sum)/2)
		}
		if algorithm == "" || sum == "" || len(sum)%2 != 0 || strings.Trim(sum, "0123456789abcdef") != "" {
			return fmt.Errorf("target %s: the %.20s hash is not lower-case hexadecimal", path, algorithm)
		}
	}
	return nil
}

// CheckRoleName refuses names that could leave the folder of metadata or pass for a top-level role.
func CheckRoleName(name string) error {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("role name %.80q must be letters, digits, _ and -, at most 64", name)
	}
	if slices.Contains(topLevelRoles, name) {
		return fmt.Errorf("role name %s is taken", name)
	}
	return nil
}

// metadata returns the document as go-tuf has it.
func (s TargetsSpec) metadata() metadata.TargetsType {
	m := metadata.Targets(s.Expires.UTC().Truncate(time.Second)).Signed
	m.Version = s.Version
	for path, t := range s.Targets {
		file := &metadata.TargetFiles{Length: t.Length, Hashes: metadata.Hashes{}}
		for algorithm, sum := range t.Hashes {
			file.Hashes[algorithm] = unhex(sum)
		}
		if len(t.Custom) > 0 && string(t.Custom) != "null" { // null is how some write that there is none, and go-tuf reads it so
			file.Custom = &t.Custom
		}
		m.Targets[path] = file
	}
	m.Delegations = s.delegations()
	if len(s.Names) > 0 {
		m.UnrecognizedFields = map[string]any{NamesMember: s.Names}
	}
	return m
}

func (s TargetsSpec) delegations() *metadata.Delegations {
	if s.Bins == nil && len(s.Delegated) == 0 {
		return nil
	}
	d := &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	if b := s.Bins; b != nil {
		role := tufRole(b.Role, d.Keys)
		d.SuccinctRoles = &metadata.SuccinctRoles{KeyIDs: role.KeyIDs, Threshold: role.Threshold, BitLength: b.Bits, NamePrefix: b.Prefix}
	}
	for _, one := range s.Delegated {
		role := tufRole(one.Role, d.Keys)
		d.Roles = append(d.Roles, metadata.DelegatedRole{Name: one.Name, KeyIDs: role.KeyIDs, Threshold: role.Threshold, Terminating: one.Terminating, Paths: one.Paths})
	}
	return d
}

// ParseTargets reads targets metadata strictly, as ParseRoot reads root metadata; it verifies no signature. Its errors
// have code ipc.Corrupt, or ipc.TooLarge.
func ParseTargets(data []byte) (*Targets, error) {
	if len(data) > MaxFile {
		return nil, ipc.Errorf(ipc.TooLarge, "targets metadata has %d bytes, the limit is %d", len(data), MaxFile)
	}
	t, err := parseTargets(bytes.Clone(data))
	if err != nil {
		return nil, ipc.Errorf(ipc.Corrupt, "targets metadata: %w", err)
	}
	return t, nil
}

func parseTargets(data []byte) (*Targets, error) {
	var f *File
	check := func(data []byte) (err error) {
		if f, _, err = readFile(data, RoleTargets); err != nil {
			return err
		}
		return refuseNull(data)
	}
	md, payload, err := readStrictly[metadata.TargetsType](data, check)
	if err != nil {
		return nil, err
	}
	f.payload = payload
	spec, err := readTargets(&md.Signed)
	if err != nil {
		return nil, err
	}
	return &Targets{f, spec}, spec.check()
}

// refuseNull keeps from go-tuf what it panics on.
func refuseNull(data []byte) error {
	var file struct {
		Signed struct {
			Targets map[string]*struct{} `json:"targets"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	for path, t := range file.Signed.Targets {
		if t == nil {
			return fmt.Errorf("target %.100q is null", path)
		}
	}
	return nil
}

func readTargets(m *metadata.TargetsType) (TargetsSpec, error) {
	spec := TargetsSpec{Version: m.Version, Expires: m.Expires, Targets: make(map[string]Target, len(m.Targets))}
	for path, file := range m.Targets {
		t := Target{Length: file.Length, Hashes: map[string]string{}}
		for algorithm, sum := range file.Hashes {
			t.Hashes[algorithm] = hexOf(sum)
		}
		if file.Custom != nil {
			t.Custom = *file.Custom
		}
		spec.Targets[path] = t
	}
	if m.Delegations != nil {
		spec.Names = namesIn(m.UnrecognizedFields, m.Delegations.Keys)
	}
	return spec, readDelegations(m.Delegations, &spec)
}

func readDelegations(d *metadata.Delegations, spec *TargetsSpec) error {
	if d == nil {
		return nil
	}
	all := make(map[string]Key, len(d.Keys))
	for _, id := range slices.Sorted(maps.Keys(d.Keys)) {
		key, err := readKey(id, d.Keys[id])
		if err != nil {
			return err
		}
		all[id] = key
	}
	if b := d.SuccinctRoles; b != nil {
		role, err := readRole(b.NamePrefix, &metadata.Role{KeyIDs: b.KeyIDs, Threshold: b.Threshold}, all)
		spec.Bins = &Bins{Role: role, Prefix: b.NamePrefix, Bits: b.BitLength}
		if err != nil {
			return err
		}
	}
	for _, one := range d.Roles {
		role, err := readRole(one.Name, &metadata.Role{KeyIDs: one.KeyIDs, Threshold: one.Threshold}, all)
		if err != nil {
			return err
		}
		if len(one.PathHashPrefixes) > 0 {
			return errors.New("delegations by path_hash_prefixes are not supported")
		}
		spec.Delegated = append(spec.Delegated, Delegated{Name: one.Name, Role: role, Paths: one.Paths, Terminating: one.Terminating})
	}
	return nil
}
