package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

const (
	// DefaultBranch is the default branch of a project that names none.
	DefaultBranch = "main"
	// Lifetime is how long an identity document is usually good for, from the day of its signing. It is long, as all that
	// its end does is to ask the delegates whether they are still there (Identity.Expired).
	Lifetime = 5 * 365 * 24 * time.Hour

	maxName        = 64              // bytes
	maxDescription = 4096            // bytes
	extension      = "x-lnk-project" // the member of a root document that makes it a project's
)

// Spec is what an identity document says.
type Spec struct {
	Name          string    // 1 to 64 bytes on one line
	Description   string    // up to 4096 bytes
	DefaultBranch string    // "" means "main"
	Delegates     []peer.ID // at least one
	Threshold     int       // 0 means more than half of the delegates
	Expires       time.Time // must be set, usually to Lifetime from now

	Names map[peer.ID]string // what people call the delegates; it has no force
}

// Identity is a project's identity document, verified from its first version to the newest. It never changes.
type Identity struct {
	URN           URN
	Name          string
	Description   string
	DefaultBranch string    // "main": without refs/heads/
	Delegates     []peer.ID // who speaks for the project, sorted
	Threshold     int       // how many of them it takes
	Version       int64     // of the newest document, from 1
	Expires       time.Time // of the newest document
	Blob          OID       // git blob id of the newest document: what signed refs name

	roots []*trust.Root
}

// VerifyChain verifies the versions of an identity document, the first one first: each is signed by a threshold of its
// own delegates and of those of the version before. Errors have code ipc.Corrupt and say which version is wrong.
func VerifyChain(files [][]byte) (Identity, error) {
	roots, err := trust.VerifyChain(files)
	if err != nil {
		return Identity{}, fmt.Errorf("identity document: %w", err)
	}
	return newIdentity(roots)
}

// newIdentity reads verified roots.
func newIdentity(roots []*trust.Root) (Identity, error) {
	newest := roots[len(roots)-1]
	spec, err := SpecOf(newest)
	if err != nil {
		return Identity{}, ipc.Errorf(ipc.Corrupt, "identity document, version %d: %w", newest.Version(), err)
	}
	return Identity{
		URN: NewURN(hashObject(kindBlob, roots[0].Bytes())), Blob: hashObject(kindBlob, newest.Bytes()), Version: newest.Version(),
		Name: spec.Name, Description: spec.Description, DefaultBranch: spec.DefaultBranch,
		Delegates: spec.Delegates, Threshold: spec.Threshold, Expires: spec.Expires, roots: roots,
	}, nil
}

// Files returns the documents of the chain, the first version first. The caller must not change them.
func (i Identity) Files() [][]byte {
	files := make([][]byte, len(i.roots))
	for n, r := range i.roots {
		files[n] = r.Bytes()
	}
	return files
}

// Expired reports whether the newest document is past its date. An expired identity still identifies: its delegates
// and its URN stay what they are, as no date can make another document of it. But nobody has vouched for it since, so
// whoever shows it should warn, and its delegates should sign a new version.
func (i Identity) Expired(now time.Time) bool { return now.After(i.Expires) }

// IsDelegate reports whether id speaks for the project.
func (i Identity) IsDelegate(id peer.ID) bool { return slices.Contains(i.Delegates, id) }

// knows reports which version of the document the blob is; 0 if none.
func (i Identity) knows(blob OID) int64 {
	for _, r := range i.roots {
		if hashObject(kindBlob, r.Bytes()) == blob {
			return r.Version()
		}
	}
	return 0
}

func (s *Spec) complete() error {
	if s.DefaultBranch == "" {
		s.DefaultBranch = DefaultBranch
	}
	if s.Threshold == 0 {
		s.Threshold = len(s.Delegates)/2 + 1
	}
	s.Delegates = slices.Sorted(slices.Values(s.Delegates))
	return s.check()
}

func (s *Spec) check() error {
	switch {
	case s.Name == "" || len(s.Name) > maxName || strings.ContainsFunc(s.Name, isControl):
		return fmt.Errorf("project name %q is not 1 to %d bytes on one line", clip(s.Name), maxName)
	case len(s.Description) > maxDescription:
		return fmt.Errorf("project description has %d bytes, the limit is %d", len(s.Description), maxDescription)
	case !utf8.ValidString(s.Name + s.Description):
		return errors.New("project name or description is not valid UTF-8")
	case s.Expires.IsZero():
		return errors.New("no date of expiry")
	}
	if err := CheckRef("refs/heads/" + s.DefaultBranch); err != nil {
		return fmt.Errorf("default branch: %w", err)
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// SpecOf returns what a version of an identity document says, as a beginning for another.
func SpecOf(root *trust.Root) (Spec, error) {
	raw, ok := root.Extra(extension)
	if !ok {
		return Spec{}, fmt.Errorf("%s is missing: this is not the identity of a project", extension)
	}
	var d struct{ Name, Description, Branch *string }
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return Spec{}, fmt.Errorf("%s: %w", extension, err)
	}
	for name, into := range map[string]**string{"name": &d.Name, "description": &d.Description, "default_branch": &d.Branch} {
		if err := json.Unmarshal(members[name], into); err != nil || *into == nil {
			return Spec{}, fmt.Errorf("%s: %s is missing or no text", extension, name)
		}
	}
	s := Spec{Name: *d.Name, Description: *d.Description, DefaultBranch: *d.Branch, Expires: root.Expires(), Names: map[peer.ID]string{}}
	names := root.Names()
	role := root.Role(trust.RoleRoot)
	s.Threshold = role.Threshold
	for _, k := range role.Keys {
		id, err := peer.FromPublicKey(k.Public)
		if err != nil {
			return Spec{}, err
		}
		s.Delegates = append(s.Delegates, id)
		if name := names[k.ID]; name != "" {
			s.Names[id] = name
		}
	}
	slices.Sort(s.Delegates)
	return s, s.check()
}
