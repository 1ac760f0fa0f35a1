package trust

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/lnk-suite/lnk/ipc"
)

// Publication is a repository as clients are about to find it. Delegated holds the roles below targets that are new;
// those that stay as they are were judged before.
type Publication struct {
	Roots                        []*Root // the last one is current; those before it lead there
	Timestamp, Snapshot, Targets []byte
	Delegated                    map[string][]byte // by role name
}

// Judge has an unmodified go-tuf take the publication, as a client would at the time now: an opinion that owes nothing to
// this package, to be heard before anything is published.
func (p Publication) Judge(now time.Time) error {
	if err := p.judge(now); err != nil {
		return ipc.Errorf(ipc.Corrupt, "standard TUF clients would refuse this: %w", err)
	}
	return nil
}

func (p Publication) judge(now time.Time) error {
	if len(p.Roots) == 0 {
		return fmt.Errorf("no root document")
	}
	client, err := trustedmetadata.New(p.Roots[0].data)
	if err != nil {
		return err
	}
	client.RefTime = now.UTC()
	for _, root := range p.Roots[1:] {
		if _, err := client.UpdateRoot(root.data); err != nil {
			return err
		}
	}
	if _, err := client.UpdateTimestamp(p.Timestamp); err != nil {
		return err
	}
	if _, err := client.UpdateSnapshot(p.Snapshot, false); err != nil {
		return err
	}
	if _, err := client.UpdateTargets(p.Targets); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.Delegated)) {
		if _, err := client.UpdateDelegatedTargets(p.Delegated[name], name, RoleTargets); err != nil {
			return fmt.Errorf("role %s: %w", name, err)
		}
	}
	return nil
}
