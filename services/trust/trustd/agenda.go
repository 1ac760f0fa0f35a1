package trustd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/lnk-suite/lnk/services/trust"
)

// agendaFile is what lnk status reads. It follows from the state, so it need not survive a loss of power: whoever opens the
// repository next writes it again.
type agendaFile struct {
	of   *state             // that it was written for
	data []byte             // what it holds
	ends []trust.RoleStatus // of roles that people sign, as read from their documents
}

// writeAgenda brings the agenda up to the state.
func (r *repository) writeAgenda() error {
	if r.agenda.of == r.state {
		return nil
	}
	data, err := json.Marshal(r.newAgenda())
	if err != nil {
		return err
	}
	path := filepath.Join(r.folder.dir, trust.AgendaFile)
	if r.agenda.of == nil {
		if r.agenda.data, err = os.ReadFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if !bytes.Equal(data, r.agenda.data) {
		temp := filepath.Join(r.folder.dir, ".tmp-agenda")
		if err := os.WriteFile(temp, data, 0o600); err != nil {
			return err
		}
		if err := os.Rename(temp, path); err != nil {
			return err
		}
	}
	r.agenda.of, r.agenda.data = r.state, data
	return nil
}

func (r *repository) newAgenda() trust.Agenda {
	a := trust.Agenda{Repository: r.name}
	if r.root != nil {
		a.Roles = r.peoplesRoles()
	}
	for _, role := range slices.Sorted(maps.Keys(r.drafts)) {
		a.Pending = append(a.Pending, r.describe(role))
	}
	return a
}

// peoplesRoles lists the published roles that people sign. What it has read stays read, as it is asked after every change.
func (r *repository) peoplesRoles() []trust.RoleStatus {
	list := []trust.RoleStatus{{Role: trust.RoleRoot, Version: r.root.Version(), Expires: r.root.Expires(), People: true}}
	for _, d := range r.state.Settings.Delegated {
		version := r.edition.snapshot.Versions[d.Name]
		if len(d.Keys) == 0 || version == 0 {
			continue
		}
		i := slices.IndexFunc(r.agenda.ends, func(s trust.RoleStatus) bool { return s.Role == d.Name && s.Version == version })
		if i >= 0 {
			list = append(list, r.agenda.ends[i])
		} else if doc, err := r.readTargets(d.Name, version); err == nil {
			list = append(list, trust.RoleStatus{Role: d.Name, Version: version, Expires: doc.Expires(), People: true})
		}
	}
	r.agenda.ends = list
	return list
}
