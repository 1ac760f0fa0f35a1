package trust

import (
	"fmt"
	"iter"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/lnk-suite/lnk/ipc"
)

// Publication is a repository as clients are about to find it. Delegated gives the roles below targets that are new, by
// name; those that stay as they are were judged before.
type Publication struct {
	Timestamp, Snapshot, Targets []byte
	Delegated                    iter.Seq2[string, []byte] // may be nil, and may give each document when it is there
}

// Gate is an unmodified go-tuf that trusts one root document, as a client of the repository does: an opinion that owes
// nothing to this package, to be heard before anything is published. It never changes.
type Gate struct {
	root *metadata.Metadata[metadata.RootType]
}

// NewGate has go-tuf trust a root document, if it is signed by its own root keys. Errors have code ipc.Corrupt, those of
// the methods too.
func NewGate(root *Root) (*Gate, error) {
	client, err := trustedmetadata.New(root.data)
	if err != nil {
		return nil, refusal(err)
	}
	return &Gate{client.Root}, nil
}

// Next has go-tuf go on to the next version of root.
func (g *Gate) Next(root *Root) (*Gate, error) {
	client := g.client(time.Now())
	if _, err := client.UpdateRoot(root.data); err != nil {
		return nil, refusal(err)
	}
	return &Gate{client.Root}, nil
}

func (g *Gate) client(now time.Time) *trustedmetadata.TrustedMetadata {
	return &trustedmetadata.TrustedMetadata{Root: g.root, Targets: map[string]*metadata.Metadata[metadata.TargetsType]{}, RefTime: now.UTC()}
}

// Judge has go-tuf take the publication at the time now.
func (g *Gate) Judge(p Publication, now time.Time) error {
	client := g.client(now)
	if _, err := client.UpdateTimestamp(p.Timestamp); err != nil {
		return refusal(err)
	}
	if _, err := client.UpdateSnapshot(p.Snapshot, false); err != nil {
		return refusal(err)
	}
	if _, err := client.UpdateTargets(p.Targets); err != nil {
		return refusal(err)
	}
	if p.Delegated == nil {
		return nil
	}
	for name, data := range p.Delegated {
		if _, err := client.UpdateDelegatedTargets(data, name, RoleTargets); err != nil {
			return refusal(fmt.Errorf("role %s: %w", name, err))
		}
		delete(client.Targets, name) // nothing is delegated further, and there may be thousands
	}
	return nil
}

func refusal(err error) error {
	return ipc.Errorf(ipc.Corrupt, "standard TUF clients would refuse this: %w", err)
}
