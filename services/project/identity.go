package project

import (
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

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

	files [][]byte
}

// Files returns the documents of the chain, the first version first. The caller must not change them.
func (i Identity) Files() [][]byte { return i.files }

// Expired reports whether the newest document is past its date. An expired identity still identifies: its delegates
// and its URN stay what they are, as no date can make another document of it. But nobody has vouched for it since, so
// whoever shows it should warn, and its delegates should sign a new version.
func (i Identity) Expired(now time.Time) bool { return now.After(i.Expires) }
