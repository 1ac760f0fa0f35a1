package trustd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

// repository is one that is open. Changes are made one at a time: each works on a copy of the state, and either commits it
// or leaves everything as it was.
type repository struct {
	name   string
	folder folder
	now    func() time.Time
	agents *agents
	audit  *keys.AuditLog
	notify func() // told after every commit that brought events

	queueMu sync.Mutex
	queue   []*signRequest // announced, and not settled yet

	mu      sync.Mutex
	state   *state
	root    *trust.Root                      // of state.Root; nil before the bootstrap is finished
	edition *edition                         // what clients get; nil like root
	drafts  map[string]trust.Document        // pending documents as parsed, by role
	binEnds map[string]time.Time             // when each role below targets expires; nil until somebody asks
	gate    *trust.Gate                      // trusts root; nil until it is needed
	shown   struct{ root, timestamp []byte } // what clients get, as far as that is sure
	agenda  agendaFile
}

// edition is one consistent set of what is signed online.
type edition struct {
	timestamp trust.TimestampSpec
	snapshot  trust.SnapshotSpec
	targets   *trust.Targets
}

// caller is on whose behalf something is done.
type caller struct {
	who   string // for the audit log
	agent string // socket of the caller's ssh-agent; may be empty
}

func (r *repository) open(ctx context.Context, dir string) error {
	folder, err := openFolder(ctx, dir)
	if err != nil {
		return fmt.Errorf("cannot open repository %s: %w", r.name, err)
	}
	r.folder = folder
	if err := r.load(); err != nil {
		folder.close()
		return fmt.Errorf("cannot open repository %s: %w", r.name, err)
	}
	return nil
}

// load reads the state and completes what a crash left undone.
func (r *repository) load() error {
	data, err := os.ReadFile(r.folder.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return r.adopt(&state{Format: stateFormat})
	}
	if err != nil {
		return err
	}
	s, err := readState(data)
	if err != nil {
		return err
	}
	if err := r.adopt(s); err != nil {
		return err
	}
	return r.place(s, r.root)
}

// adopt makes s the state, and everything derived from it.
func (r *repository) adopt(s *state) error {
	var root *trust.Root
	var line *edition
	var err error
	if s.Root != nil {
		if root, err = trust.ParseRoot(s.Root); err != nil {
			return err
		}
		if line, err = r.readEdition(s); err != nil {
			return err
		}
	}
	drafts := make(map[string]trust.Document, len(s.Pending))
	for role, p := range s.Pending {
		if drafts[role], err = parseDraft(role, p.Data); err != nil {
			return err
		}
	}
	r.state, r.root, r.edition, r.drafts, r.binEnds, r.gate = s, root, line, drafts, nil, nil
	return nil
}

func (r *repository) readEdition(s *state) (*edition, error) {
	timestamp, err := trust.ParseTimestamp(s.Timestamp)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(r.folder.metadata(versioned(trust.RoleSnapshot, timestamp.Snapshot)))
	if err != nil {
		return nil, err
	}
	snapshot, err := trust.ParseSnapshot(data)
	if err != nil {
		return nil, err
	}
	targets, err := r.readTargets(trust.RoleTargets, snapshot.Versions[trust.RoleTargets])
	return &edition{timestamp, snapshot, targets}, err
}

func (r *repository) readTargets(role string, version int64) (*trust.Targets, error) {
	data, err := os.ReadFile(r.folder.metadata(versioned(role, version)))
	if err != nil {
		return nil, err
	}
	return trust.ParseTargets(data)
}

// versioned is the file name of metadata with consistent snapshots (TUF specification 1.0.34, section 6.2).
func versioned(role string, version int64) string { return fmt.Sprintf("%d.%s.json", version, role) }

// timestampFile is the one name that does not change.
const timestampFile = "timestamp.json"

func parseDraft(role string, data []byte) (trust.Document, error) {
	if role == trust.RoleRoot {
		return trust.ParseRoot(data)
	}
	return trust.ParseTargets(data)
}

// commit decides for next: files are new versions of metadata that it refers to. When it returns an error nothing has
// changed, unless it says that the change is stored.
func (r *repository) commit(next *state, files *newFiles) error {
	if files != nil {
		if err := files.place(); err != nil {
			return err
		}
	}
	if err := r.write(next); err != nil {
		return err
	}
	had := r.state.Serial
	r.state = next
	if next.Serial > had {
		r.notify()
	}
	if err := r.show(next); err != nil {
		err = fmt.Errorf("the change is stored, but clients cannot see it yet: %w", err)
		return errors.Join(err, r.adopt(next)) // the caller may take it that nothing has changed
	}
	if files != nil {
		files.forget()
	}
	return nil
}

// write makes next what is on the disk, after the lines of the audit log that tell of it.
func (r *repository) write(next *state) error {
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := r.audit.Append(next.lines...); err != nil {
		return fmt.Errorf("cannot record the change, so it was not made: %w", err)
	}
	err = profile.WriteFile(r.folder.statePath(), data, 0o600)
	if err == nil {
		next.lines = nil
		return nil
	}
	// The file may be in place all the same.
	if there, _ := os.ReadFile(r.folder.statePath()); !bytes.Equal(there, data) {
		err = errors.Join(err, r.audit.Append(undone(next.lines)...))
	}
	return errors.Join(err, r.load())
}

// undone are the lines that take lines back: "tuf:root not cancelled" after "tuf:root cancelled".
func undone(lines []keys.AuditRecord) []keys.AuditRecord {
	lines = slices.Clone(lines)
	for i, line := range lines {
		what, happened, _ := strings.Cut(line.Kind, " ")
		lines[i].Kind, lines[i].Time = what+" not "+happened, time.Now().UTC()
	}
	return lines
}

// show places what is new in s.
func (r *repository) show(s *state) error {
	if bytes.Equal(s.Root, r.shown.root) && bytes.Equal(s.Timestamp, r.shown.timestamp) {
		return nil
	}
	root := r.root
	if root == nil || !bytes.Equal(s.Root, root.Bytes()) {
		var err error
		if root, err = trust.ParseRoot(s.Root); err != nil {
			return err
		}
	}
	return r.place(s, root)
}

// place puts the root and the timestamp of s where clients look. When the online key changes and the timestamp is good for
// both, it comes first; otherwise the root does, as TUF clients look for that first. Only 1.root.json without anything that
// belongs to it would be of no use, but then clients have no repository yet.
func (r *repository) place(s *state, root *trust.Root) error {
	if root == nil {
		return nil
	}
	placeRoot := func() error { return r.folder.place(versioned(trust.RoleRoot, root.Version()), s.Root, true) }
	placeTimestamp := func() error { return r.folder.place(timestampFile, s.Timestamp, false) }
	steps := []func() error{placeRoot, placeTimestamp}
	if s.Handover {
		steps = []func() error{placeTimestamp, placeRoot}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	r.shown.root, r.shown.timestamp = s.Root, s.Timestamp
	return nil
}

// finished says why something cannot be done before the bootstrap is finished.
func (r *repository) finished() error {
	if r.root == nil {
		return ipc.Errorf(ipc.Conflict, "It requires bootstrap finished. State: %s", r.state.phase()).
			WithHint("see what its first root waits for: " + trust.CommandLine(r.name, "show", ""))
	}
	return nil
}

// newRoot puts root in the state.
func (s *state) setRoot(root *trust.Root) {
	s.Root = root.Bytes()
	s.Settings.RootThreshold = root.Role(trust.RoleRoot).Threshold
}
