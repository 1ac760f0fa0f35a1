package trustd

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/trust"
)

// stateFormat is the version of state.json.
const stateFormat = 1

// state is what is decided about a repository. It is replaced as a whole; documents and pending entries never change.
type state struct {
	Format int `json:"format"`
	// Bootstrap is written as Repository Service for TUF does: empty, "signing-TASK" or "TASK" when it is finished.
	Bootstrap string              `json:"bootstrap"`
	Settings  settings            `json:"settings"`
	Root      []byte              `json:"root,omitempty"`      // the newest published version
	Timestamp []byte              `json:"timestamp,omitempty"` // likewise
	Handover  bool                `json:"handover,omitempty"`  // Timestamp is signed by the keys of the root before, too
	Pending   map[string]*pending `json:"pending,omitempty"`   // by role
	Staged    staged              `json:"staged"`
	Events    []outgoing          `json:"events,omitempty"`
	Serial    uint64              `json:"serial"`           // of the last event
	Warned    map[string]int      `json:"warned,omitempty"` // by role and version: the shortest notice given, in days

	lines []keys.AuditRecord // for the audit log: what the step to this state accepts and ends
}

// settings are what the bootstrap has set.
type settings struct {
	Expiration    map[string]int `json:"expiration,omitempty"` // days, by role; "bins" for all bins
	RootThreshold int            `json:"root_threshold,omitempty"`
	RootKeys      int            `json:"root_num_keys,omitempty"`
	Bins          int            `json:"bins,omitempty"` // 0 if roles are delegated to by path
	Delegated     []delegation   `json:"delegated,omitempty"`
}

// delegation is a role that the bootstrap, or a later request, leaves paths to.
type delegation struct {
	Name        string   `json:"name"`
	Keys        [][]byte `json:"keys,omitempty"` // raw; none: the online key
	Threshold   int      `json:"threshold"`
	Paths       []string `json:"paths"`
	Terminating bool     `json:"terminating"`

	Names map[string]string `json:"names,omitempty"` // what people call the keys, by key id
}

// pending is a document that waits for signatures.
type pending struct {
	Data     []byte    `json:"data"`
	Task     string    `json:"task"`
	Since    time.Time `json:"since"`
	Deadline time.Time `json:"deadline,omitzero"` // after which the process ends by itself
	// Delegation is what publishing the document adds to targets; nil if that has the delegation already.
	Delegation *delegation `json:"delegation,omitempty"`
}

// staged are changes of artifacts that are not published yet.
type staged struct {
	Add    map[string]trust.Target `json:"add,omitempty"`
	Remove map[string]bool         `json:"remove,omitempty"`
}

func (s staged) empty() bool { return len(s.Add) == 0 && len(s.Remove) == 0 }

// clone returns a copy whose maps and lists may be changed.
func (s *state) clone() *state {
	next := *s
	next.Settings.Expiration = maps.Clone(s.Settings.Expiration)
	next.Settings.Delegated = slices.Clone(s.Settings.Delegated)
	next.Pending = maps.Clone(s.Pending)
	next.Staged = staged{maps.Clone(s.Staged.Add), maps.Clone(s.Staged.Remove)}
	next.Events = slices.Clone(s.Events)
	next.Warned = maps.Clone(s.Warned)
	next.lines = slices.Clone(s.lines)
	if next.Pending == nil {
		next.Pending = map[string]*pending{}
	}
	if next.Settings.Expiration == nil {
		next.Settings.Expiration = map[string]int{}
	}
	return &next
}

// Phases of a bootstrap, in the words of Repository Service for TUF.
const (
	phaseNone     = "None"
	phaseSigning  = "signing"
	phaseFinished = "finished"
)

const signingPrefix = "signing-"

func (s *state) phase() string {
	switch {
	case s.Bootstrap == "":
		return phaseNone
	case strings.HasPrefix(s.Bootstrap, signingPrefix):
		return phaseSigning
	}
	return phaseFinished
}

// bootstrapTask is who began the bootstrap.
func (s *state) bootstrapTask() string { return strings.TrimPrefix(s.Bootstrap, signingPrefix) }

// expiry is when a role's document that is made now expires. Names of bins and of delegated roles without a setting of
// their own fall back.
func (s *state) expiry(role string, now time.Time) time.Time {
	days, ok := s.Settings.Expiration[role]
	if !ok && s.Settings.Bins > 0 && role != trust.RoleTargets {
		days, ok = s.Settings.Expiration[roleBins]
	}
	if !ok {
		days = max(s.Settings.Expiration[trust.RoleTargets], 1)
	}
	return now.UTC().Truncate(time.Second).AddDate(0, 0, days)
}

// roleBins is how settings call all hash bins together, and what their names begin with.
const roleBins = "bins"

func readState(data []byte) (*state, error) {
	s := new(state)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, ipc.Errorf(ipc.Corrupt, "cannot read state.json: %w", err)
	}
	if s.Format != stateFormat {
		return nil, ipc.Errorf(ipc.Unsupported, "state.json has format %d, this version knows %d", s.Format, stateFormat)
	}
	return s, nil
}

// digest is the SHA-256 of what is to be signed: what If-Match compares, and what a signer reads aloud.
func digest(d trust.Document) string { return trust.DigestOf(d) }
