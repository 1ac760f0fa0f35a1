package trust

import (
	"fmt"

	"github.com/lnk-suite/lnk/ipc"
)

// Signing tells how far the signing of a root document is: by its own root role, and by that of the version before.
type Signing struct {
	Own      Progress
	Previous *Progress // nil for a first version
}

// Complete reports whether the document may be published.
func (s Signing) Complete() bool {
	return s.Own.Complete() && (s.Previous == nil || s.Previous.Complete())
}

// signingOf counts the signatures of root; previous is the version before, nil for the first.
func signingOf(root, previous *Root) Signing {
	s := Signing{Own: root.roles[RoleRoot].progress(root.payload, root.signatures, root.good)}
	if previous != nil {
		p := previous.roles[RoleRoot].progress(root.payload, root.signatures, root.good)
		s.Previous = &p
	}
	return s
}

// verifyFirst checks that root is a first version and signed by a threshold of its own root keys. Errors have code
// ipc.Corrupt.
func verifyFirst(root *Root) error {
	if root.Version() != 1 {
		return ipc.Errorf(ipc.Corrupt, "the first root document has version %d", root.Version())
	}
	return verifyVersion(root, nil)
}

// verifyNext checks that next follows previous: one version more, and signed by a threshold of the root keys of both
// (TUF specification 1.0.34, section 5.3). Neither may have expired or not: an intermediate version is trusted for what
// it says about the next, whatever its age, and what an old last version is still good for is the caller's to judge.
func verifyNext(previous, next *Root) error {
	if next.Version() != previous.Version()+1 {
		return ipc.Errorf(ipc.Corrupt, "root version %d does not follow version %d", next.Version(), previous.Version())
	}
	return verifyVersion(next, previous)
}

func verifyVersion(root, previous *Root) error {
	s := signingOf(root, previous)
	if s.Previous != nil {
		if err := s.Previous.err(); err != nil {
			return fault(root, fmt.Sprintf("keys of version %d", previous.Version()), err)
		}
	}
	if err := s.Own.err(); err != nil {
		return fault(root, "own keys", err)
	}
	return nil
}

func fault(root *Root, whose string, err error) error {
	return ipc.Errorf(ipc.Corrupt, "root version %d, %s: %w", root.Version(), whose, err)
}

// VerifyChain parses and verifies a chain of root documents from the first version on, and returns them in order.
func VerifyChain(files [][]byte) ([]*Root, error) {
	roots := make([]*Root, 0, len(files))
	for i, data := range files {
		root, err := ParseRoot(data)
		if err != nil {
			return nil, fmt.Errorf("version %d: %w", i+1, err)
		}
		if i == 0 {
			err = verifyFirst(root)
		} else {
			err = verifyNext(roots[i-1], root)
		}
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	if len(roots) == 0 {
		return nil, ipc.Errorf(ipc.Corrupt, "no root document")
	}
	return roots, nil
}

// Judge has an unmodified go-tuf walk a chain of root documents, as clients will: an opinion that owes nothing to this
// package, to be heard before a version is published, since none can be taken back.
func Judge(roots []*Root) error {
	if len(roots) == 0 {
		return ipc.Errorf(ipc.Corrupt, "no root document")
	}
	gate, err := NewGate(roots[0])
	for _, r := range roots[1:] {
		if err != nil {
			break
		}
		gate, err = gate.Next(r)
	}
	return err
}
