package project

import (
	"path/filepath"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// IdentityRef is the ref, not namespaced, whose history is the chain of identity documents.
const IdentityRef = "refs/rad/id"

// Namespace returns the prefix of everything that a peer owns in a repository: "refs/namespaces/<peer>/". Ref names of
// signed refs and of updated events are relative to it.
func Namespace(id peer.ID) string { return "refs/namespaces/" + string(id) + "/" }

// SignedRefsRef returns the ref that names the newest signed refs of a peer.
func SignedRefsRef(id peer.ID) string { return Namespace(id) + "refs/rad/sigrefs" }

// Store is the directory that holds one bare repository per project (profile.Dirs.Storage).
type Store struct{ Dir string }

// Path returns where the project's repository is, or would be. The name is made from the bytes that the URN encodes, so
// that no text from outside becomes part of a path.
func (s Store) Path(urn URN) string { return filepath.Join(s.Dir, NewURN(urn.ID()).RID()+".git") }
