package trustd

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// change is what an edition brings that the last one did not have.
type change struct {
	root    *trust.Root               // nil: stays
	top     bool                      // delegations of targets changed in the settings
	touched map[string][]string       // targets that are added or removed, by role below targets that the online key signs
	staged  staged                    // what becomes of those targets
	people  map[string]*trust.Targets // roles below targets that people have signed
	bump    map[string]bool           // roles that get a new version although nothing changed
}

// renewBefore is how long before its expiry a role that is signed online gets a new version (rule R14).
const renewBefore = time.Hour

// allBinsUpTo is how many hash bins there may be for all of them to exist from the start. With more, snapshot would grow
// beyond what an ssh-agent signs, so bins then come to be with their first target. Clients of a path in a bin that does not
// exist are told so instead of that there is no such target.
const allBinsUpTo = 4096

// edit is an edition in the making.
type edit struct {
	r       *repository
	next    *state
	change  change
	by      caller
	now     time.Time
	root    *trust.Root
	gate    *trust.Gate // that trusts root
	rotates bool        // the online key is another
	first   bool

	versions  map[string]int64
	below     []string // roles that get a new version
	top       *trust.Targets
	snapshot  *trust.File
	timestamp *trust.File
	handover  bool // the head is signed by the online key before, too
	files     *newFiles
}

// publish signs what has to be new, has it judged and commits next with it. next already holds what led to the change.
func (r *repository) publish(ctx context.Context, next *state, c change, by caller) error {
	e := &edit{r: r, next: next, change: c, by: by, now: r.now(), root: r.root, first: r.root == nil, versions: map[string]int64{}}
	if c.root != nil {
		e.root = c.root
	}
	if !e.first {
		maps.Copy(e.versions, r.edition.snapshot.Versions)
		e.rotates = !bytes.Equal(onlineKey(e.root), onlineKey(r.root))
	}
	if err := e.build(); err != nil {
		return err
	}
	e.files = r.folder.newFiles(len(e.below) + 2)
	if err := e.issue(ctx); err != nil {
		e.files.drop()
		return err
	}
	next.setRoot(e.root)
	if e.timestamp != nil {
		next.Timestamp, next.Handover = e.timestamp.Bytes(), e.handover
	}
	e.announce()
	err := r.commit(next, e.files)
	if r.state == next { // also when it is stored and only not visible yet
		e.adopt()
	}
	return err
}

func onlineKey(root *trust.Root) []byte { return root.Role(trust.RoleTimestamp).Keys[0].Public }

// build decides what is new, and makes the documents that name the others.
func (e *edit) build() error {
	e.planBelow()
	if err := e.buildTop(); err != nil {
		return err
	}
	renew := len(e.below) > 0 || e.top != nil || e.dueNow(trust.RoleSnapshot) || e.dueNow(trust.RoleTimestamp)
	if !renew && e.change.root != nil { // rule R12: only N.root.json
		return nil
	}
	return e.buildHead()
}

// dueNow reports whether a top-level role has to be new although nothing that it says changes.
func (e *edit) dueNow(role string) bool {
	if e.first || e.rotates || e.change.bump[role] {
		return true
	}
	ends := map[string]time.Time{
		trust.RoleTargets: e.r.edition.targets.Expires(), trust.RoleSnapshot: e.r.edition.snapshot.Expires, trust.RoleTimestamp: e.r.edition.timestamp.Expires,
	}[role]
	return ends.Sub(e.now) < renewBefore
}

// planBelow lists the roles below targets that get a new version.
func (e *edit) planBelow() {
	roles := map[string]bool{}
	for role := range e.change.touched {
		roles[role] = true
	}
	for _, role := range e.renewed() {
		roles[role] = true
	}
	for role := range roles {
		e.versions[role]++
	}
	for role, doc := range e.change.people {
		roles[role], e.versions[role] = true, doc.Version()
	}
	e.below = slices.Sorted(maps.Keys(roles))
}

// document makes the new version of a role below targets, when its turn comes: there may be thousands. The roles that people
// sign are signed.
func (e *edit) document(role string) (_ *trust.Targets, err error) {
	if doc := e.change.people[role]; doc != nil {
		return doc, nil
	}
	spec := trust.TargetsSpec{Version: e.versions[role], Expires: e.expiry(role)}
	if spec.Targets, err = e.r.changed(role, e.change.touched[role], e.change.staged); err != nil {
		return nil, err
	}
	return trust.NewTargets(spec)
}

func (e *edit) expiry(role string) time.Time {
	if doc := e.change.people[role]; doc != nil {
		return doc.Expires()
	}
	return e.next.expiry(role, e.now)
}

// renewed lists the roles signed online below targets that get a new version although no target changes.
func (e *edit) renewed() []string {
	var list []string
	switch {
	case e.first && e.next.Settings.Bins > 0 && e.next.Settings.Bins <= allBinsUpTo:
		bins := e.bins()
		for i := range bins.Count() {
			list = append(list, bins.Name(i))
		}
	case e.first:
		for _, d := range e.next.Settings.Delegated {
			if len(d.Keys) == 0 {
				list = append(list, d.Name)
			}
		}
	case e.rotates:
		list = e.r.onlineRoles()
	default:
		for role := range e.change.bump {
			if e.r.signsOnline(role) {
				list = append(list, role)
			}
		}
	}
	return list
}

// onlineRoles lists the published roles below targets that the online key signs.
func (r *repository) onlineRoles() []string {
	var list []string
	for role := range r.edition.snapshot.Versions {
		if r.signsOnline(role) {
			list = append(list, role)
		}
	}
	slices.Sort(list)
	return list
}

// signsOnline reports whether a role is one of them.
func (r *repository) signsOnline(role string) bool {
	d, known := r.state.Settings.delegation(role)
	binned := r.state.Settings.Bins > 0 && role != trust.RoleTargets
	return r.edition.snapshot.Versions[role] > 0 && (binned || known && len(d.Keys) == 0)
}

func (e *edit) bins() *trust.Bins { return e.next.Settings.bins(e.root) }

// bins returns the hash bins as root would have them signed; nil if there are none.
func (s settings) bins(root *trust.Root) *trust.Bins {
	if s.Bins == 0 {
		return nil
	}
	bits := 0
	for 1<<bits < s.Bins {
		bits++
	}
	return &trust.Bins{Role: root.Role(trust.RoleTimestamp), Prefix: roleBins, Bits: bits}
}

// buildTop makes targets, if it changes: it holds delegations and nothing else.
func (e *edit) buildTop() error {
	if !e.change.top && !e.dueNow(trust.RoleTargets) {
		return nil
	}
	e.versions[trust.RoleTargets]++
	spec := trust.TargetsSpec{Version: e.versions[trust.RoleTargets], Expires: e.expiry(trust.RoleTargets), Bins: e.bins()}
	var err error
	if spec.Delegated, spec.Names, err = delegatedBy(e.root, e.next.Settings.Delegated); err != nil {
		return err
	}
	e.top, err = trust.NewTargets(spec)
	return err
}

// role returns who signs for the delegation.
func (d delegation) role(root *trust.Root) (trust.Role, error) {
	if len(d.Keys) == 0 {
		return root.Role(trust.RoleTimestamp), nil
	}
	role := trust.Role{Threshold: d.Threshold}
	for _, pub := range d.Keys {
		key, err := trust.NewKey(pub)
		if err != nil {
			return role, ipc.Errorf(ipc.BadRequest, "role %s: %w", d.Name, err)
		}
		role.Keys = append(role.Keys, key)
	}
	return role, nil
}

// buildHead makes snapshot, if anything below it is new or it is due, and timestamp.
func (e *edit) buildHead() (err error) {
	line := trust.TimestampSpec{}
	version := int64(0)
	if !e.first {
		line, version = e.r.edition.timestamp, e.r.edition.snapshot.Version
	}
	if len(e.below) > 0 || e.top != nil || e.dueNow(trust.RoleSnapshot) {
		version++
		e.snapshot, err = trust.NewSnapshot(trust.SnapshotSpec{Version: version, Expires: e.expiry(trust.RoleSnapshot), Versions: e.versions})
		if err != nil {
			return err
		}
		if err := e.checkSnapshot(); err != nil {
			return err
		}
	}
	e.timestamp, err = trust.NewTimestamp(trust.TimestampSpec{Version: line.Version + 1, Expires: e.expiry(trust.RoleTimestamp), Snapshot: version})
	return err
}

// versionDigits is how long the versions of roles may get before snapshot grows beyond what was foreseen: new versions every
// day for 27 years.
const versionDigits = 4

// checkSnapshot refuses an edition whose snapshot an ssh-agent would not sign, before anything is signed. A new role needs
// room for later, too: there must never be a repository that cannot be renewed, as snapshot may not forget a role.
func (e *edit) checkSnapshot() error {
	size := len(e.snapshot.Payload())
	if e.first || len(e.versions) > len(e.r.edition.snapshot.Versions) {
		for _, version := range e.versions {
			size += max(0, versionDigits-len(strconv.FormatInt(version, 10)))
		}
	}
	if size <= trust.MaxPayload {
		return nil
	}
	return ipc.Errorf(ipc.TooLarge, "snapshot would name %d roles and grow to %d bytes, of which an ssh-agent signs %d: nothing is published", len(e.versions), size, trust.MaxPayload).
		WithHint(fmt.Sprintf("a hash bin counts once it has held an artifact: begin a repository with at most %d bins, which hold any number", allBinsUpTo))
}

// announce adds the events of the publication to the state that is committed with it.
func (e *edit) announce() {
	if e.change.root != nil {
		e.next.tell(e.r.name, kindPublished, trust.Event{Role: trust.RoleRoot, Version: e.root.Version(), Digest: digest(e.root), Expires: e.root.Expires()})
	}
	if e.timestamp != nil {
		e.next.tell(e.r.name, kindPublished, trust.Event{Role: trust.RoleTimestamp, Version: e.timestamp.Version(), Digest: digest(e.timestamp), Expires: e.timestamp.Expires()})
	}
}

// adopt makes the edition the repository's.
func (e *edit) adopt() {
	r := e.r
	r.root, r.gate = e.root, e.gate
	if e.timestamp == nil {
		return
	}
	line := &edition{}
	if r.edition != nil {
		*line = *r.edition
	}
	if e.top != nil {
		line.targets = e.top
	}
	if e.snapshot != nil {
		line.snapshot = trust.SnapshotSpec{Version: e.snapshot.Version(), Expires: e.snapshot.Expires(), Versions: e.versions}
	}
	line.timestamp = trust.TimestampSpec{Version: e.timestamp.Version(), Expires: e.timestamp.Expires(), Snapshot: line.snapshot.Version}
	r.edition = line
	for _, role := range e.below {
		if r.binEnds != nil {
			r.binEnds[role] = e.expiry(role)
		}
	}
}
