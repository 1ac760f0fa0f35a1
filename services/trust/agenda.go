package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// AgendaFile is the name of the file that holds an Agenda, in the folder of its repository.
const AgendaFile = "agenda.json"

// WarnBefore is how long before the end of a role that people sign they are warned first: on the bus and by lnk status.
const WarnBefore = 30 * 24 * time.Hour

// Agenda is what a repository wants from people. trustd keeps it in a file beside its state, so that whoever only looks, as
// lnk status does, wakes no daemon. It holds dates and no judgement: what is urgent is found when it is read.
type Agenda struct {
	Repository string        `json:"repository"`
	Roles      []RoleStatus  `json:"roles,omitempty"`   // published, and signed by people
	Pending    []PendingRole `json:"pending,omitempty"` // waiting for signatures
}

// Warning is one thing that people should attend to.
type Warning struct {
	Repository string     `json:"repository" cbor:"0,keyasint"` // its name, or the URN of a project
	Role       string     `json:"role,omitempty" cbor:"1,keyasint,omitempty"`
	Text       string     `json:"text" cbor:"2,keyasint"`
	Hint       string     `json:"hint" cbor:"3,keyasint"`                      // a command
	Until      *time.Time `json:"until,omitempty" cbor:"4,keyasint,omitempty"` // when it is too late
}

// ReadAgendas reads those of all repositories below dir, in the order of their names. One that cannot be read gives an
// error beside the others.
func ReadAgendas(dir string) ([]Agenda, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", AgendaFile))
	var list []Agenda
	for _, path := range paths {
		data, readErr := os.ReadFile(path)
		if errors.Is(readErr, fs.ErrNotExist) {
			continue
		}
		var a Agenda
		if readErr == nil {
			readErr = json.Unmarshal(data, &a)
		}
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("cannot read %s: %w", path, readErr))
			continue
		}
		list = append(list, a)
	}
	return list, err
}

// Warnings lists what people should attend to, at the time now: roles that expire within WarnBefore, and what waits for
// signatures and may still get them.
func (a Agenda) Warnings(now time.Time) []Warning {
	var list []Warning
	for _, r := range a.Roles {
		if left := r.Expires.Sub(now); left <= WarnBefore {
			list = append(list, a.expiring(r, left))
		}
	}
	for _, p := range a.Pending {
		if p.Deadline == nil || p.Deadline.After(now) {
			list = append(list, a.waiting(p))
		}
	}
	return list
}

func (a Agenda) expiring(r RoleStatus, left time.Duration) Warning {
	w := Warning{Repository: a.Repository, Role: r.Role, Hint: CommandLine(a.Repository, "renew", r.Role), Until: &r.Expires}
	if r.Role == RoleRoot {
		w.Hint = CommandLine(a.Repository, "update --days 365", "")
	}
	w.Text = fmt.Sprintf("%s of repository %s expires on %s, in %d days", r.Role, a.Repository, stamp(r.Expires), left/(24*time.Hour))
	if left <= 0 {
		w.Text = fmt.Sprintf("%s of repository %s has expired on %s: clients refuse it", r.Role, a.Repository, stamp(r.Expires))
	}
	return w
}

// signed counts those who have signed for the new version, and for the one before.
func (p PendingRole) signed() (own, before int) {
	for _, s := range p.Signers {
		if s.Signed && s.New {
			own++
		}
		if s.Signed && s.Old {
			before++
		}
	}
	return own, before
}

// Complete reports whether enough have signed: what only has to be published still.
func (p PendingRole) Complete() bool {
	own, before := p.signed()
	return own >= p.Needed && before >= p.Before
}

// Standing says in words how many have signed.
func (p PendingRole) Standing() string {
	if p.Complete() {
		return "is signed by enough, and not published yet"
	}
	own, before := p.signed()
	text := fmt.Sprintf("waits for signatures: %d of %d", own, p.Needed)
	if p.Before > 0 {
		text += fmt.Sprintf(", of the old keys %d of %d", before, p.Before)
	}
	return text
}

func (a Agenda) waiting(p PendingRole) Warning {
	w := Warning{Repository: a.Repository, Role: p.Role, Hint: CommandLine(a.Repository, "show", p.Role), Until: p.Deadline}
	if p.Complete() {
		w.Hint = CommandLine(a.Repository, "publish", "")
	}
	w.Text = fmt.Sprintf("%s version %d of repository %s %s", p.Role, p.Version, a.Repository, p.Standing())
	if p.Deadline != nil {
		w.Text += ", until " + stamp(*p.Deadline)
	}
	return w
}

// CommandLine is what to type for a verb of lnk trust, about a role (empty: root, or none).
func CommandLine(repository, verb, role string) string {
	words := []string{"lnk trust " + verb}
	if repository != "" && repository != DefaultRepository {
		words = append(words, "-r "+repository)
	}
	if role != "" && role != RoleRoot {
		words = append(words, role)
	}
	return strings.Join(words, " ")
}
