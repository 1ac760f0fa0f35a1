package trustd

import (
	"bytes"
	"context"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// change is what an edition brings that the last one did not have.
type change struct {
	root     *trust.Root                        // nil: stays
	top      bool                               // delegations of targets changed in the settings
	contents map[string]map[string]trust.Target // of roles below targets that the online key signs
	people   map[string]*trust.Targets          // roles below targets that people have signed
	bump     map[string]bool                    // roles that get a new version although nothing changed
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
	rotates bool // the online key is another
	first   bool

	versions  map[string]int64
	below     map[string]*trust.File // new versions of roles below targets
	top       *trust.Targets
	snapshot  *trust.File
	timestamp *trust.File
	files     []file
	handover  bool
}

// publish signs what has to be new, has it judged and commits next with it. next already holds what led to the change.
func (r *repository) publish(ctx context.Context, next *state, c change, by caller) error {
	e := &edit{r: r, next: next, change: c, by: by, now: r.now(), root: r.root, first: r.root == nil, versions: map[string]int64{}, below: map[string]*trust.File{}}
	if c.root != nil {
		e.root = c.root
	}
	if !e.first {
		maps.Copy(e.versions, r.edition.snapshot.Versions)
		e.rotates = !bytes.Equal(onlineKey(e.root), onlineKey(r.root))
	}
	if err := e.build(ctx); err != nil {
		return err
	}
	if err := e.judge(); err != nil {
		return err
	}
	e.announce()
	err := r.commit(next, e.files)
	if r.state == next { // also when it is stored and only not visible yet
		e.adopt()
	}
	return err
}

func onlineKey(root *trust.Root) []byte { return root.Role(trust.RoleTimestamp).Keys[0].Public }

// build makes and signs the new documents, in the order in which one names the next.
func (e *edit) build(ctx context.Context) error {
	if err := e.buildBelow(ctx); err != nil {
		return err
	}
	if err := e.buildTop(); err != nil {
		return err
	}
	renew := len(e.below) > 0 || e.top != nil || e.dueNow(trust.RoleSnapshot) || e.dueNow(trust.RoleTimestamp)
	if !renew && e.change.root != nil { // rule R12: only N.root.json
		e.next.setRoot(e.root)
		return nil
	}
	if err := e.buildHead(); err != nil {
		return err
	}
	return e.sign(ctx)
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

// buildBelow makes the roles below targets.
func (e *edit) buildBelow(ctx context.Context) error {
	for role, targets := range e.change.contents {
		if err := e.addBelow(role, targets); err != nil {
			return err
		}
	}
	for _, role := range e.renewed() {
		if e.below[role] != nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var targets map[string]trust.Target
		if version := e.versions[role]; version > 0 {
			old, err := e.r.readTargets(role, version)
			if err != nil {
				return err
			}
			targets = old.Spec().Targets
		}
		if err := e.addBelow(role, targets); err != nil {
			return err
		}
	}
	for role, doc := range e.change.people {
		e.below[role], e.versions[role] = doc.File, doc.Version()
	}
	return nil
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
		for _, role := range e.r.onlineRoles() {
			if e.change.bump[role] {
				list = append(list, role)
			}
		}
	}
	return list
}

// onlineRoles lists the published roles below targets that the online key signs.
func (r *repository) onlineRoles() []string {
	var list []string
	for _, role := range slices.Sorted(maps.Keys(r.edition.snapshot.Versions)) {
		if role == trust.RoleTargets {
			continue
		}
		if r.state.Settings.Bins > 0 || slices.ContainsFunc(r.state.Settings.Delegated, func(d delegation) bool { return d.Name == role && len(d.Keys) == 0 }) {
			list = append(list, role)
		}
	}
	return list
}

func (e *edit) addBelow(role string, targets map[string]trust.Target) error {
	e.versions[role]++
	doc, err := trust.NewTargets(trust.TargetsSpec{Version: e.versions[role], Expires: e.next.expiry(role, e.now), Targets: targets})
	if err != nil {
		return err
	}
	e.below[role] = doc.File
	return nil
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
	spec := trust.TargetsSpec{Version: e.versions[trust.RoleTargets], Expires: e.next.expiry(trust.RoleTargets, e.now), Bins: e.bins()}
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
		e.snapshot, err = trust.NewSnapshot(trust.SnapshotSpec{Version: version, Expires: e.next.expiry(trust.RoleSnapshot, e.now), Versions: e.versions})
		if err != nil {
			return err
		}
	}
	e.timestamp, err = trust.NewTimestamp(trust.TimestampSpec{Version: line.Version + 1, Expires: e.next.expiry(trust.RoleTimestamp, e.now), Snapshot: version})
	return err
}

// sign has everything signed that people have not signed, and lists the files.
func (e *edit) sign(ctx context.Context) error {
	orders := e.orders()
	signed, err := e.r.signOnline(ctx, orders, e.by)
	if err != nil {
		return err
	}
	head := orders[len(e.onlineBelow()):]
	if e.rotates {
		if err := e.signByOld(ctx, head, signed[len(signed)-len(head):]); err != nil {
			return err
		}
	}
	for i, o := range orders {
		e.take(o.name, signed[i])
	}
	for role := range e.change.people {
		e.files = append(e.files, file{versioned(role, e.below[role].Version()), e.below[role].Bytes()})
	}
	e.next.setRoot(e.root)
	e.next.Timestamp, e.next.Handover = e.timestamp.Bytes(), e.handover
	return nil
}

func (e *edit) onlineBelow() []string {
	var names []string
	for _, role := range slices.Sorted(maps.Keys(e.below)) {
		if e.change.people[role] == nil {
			names = append(names, role)
		}
	}
	return names
}

func (e *edit) orders() []order {
	role := e.root.Role(trust.RoleTimestamp)
	var list []order
	for _, name := range e.onlineBelow() {
		list = append(list, order{name, e.below[name], role})
	}
	if e.top != nil {
		list = append(list, order{trust.RoleTargets, e.top.File, role})
	}
	if e.snapshot != nil {
		list = append(list, order{trust.RoleSnapshot, e.snapshot, role})
	}
	return append(list, order{trust.RoleTimestamp, e.timestamp, role})
}

// signByOld adds the signatures of the online key that is on its way out, so that clients which have not seen the new root
// yet accept the new timestamp: then there is no moment at which nobody can. If that key is gone, so be it.
func (e *edit) signByOld(ctx context.Context, head []order, signed []*trust.File) error {
	old := make([]order, len(head))
	for i, o := range head {
		old[i] = order{o.name, signed[i], e.r.root.Role(trust.RoleTimestamp)}
	}
	both, err := e.r.signOnline(ctx, old, e.by)
	if isNoKey(err) {
		return nil
	}
	if err != nil {
		return err
	}
	copy(signed, both)
	e.handover = true
	return nil
}

func (e *edit) take(name string, signed *trust.File) {
	switch name {
	case trust.RoleTimestamp:
		e.timestamp = signed
		return // timestamp.json has its turn when everything else is there
	case trust.RoleSnapshot:
		e.snapshot = signed
	case trust.RoleTargets:
		e.top = e.top.With(signed)
	default:
		e.below[name] = signed
	}
	e.files = append(e.files, file{versioned(name, signed.Version()), signed.Bytes()})
}

// judge hears go-tuf, as a client that has the root before and as one that has this one.
func (e *edit) judge() error {
	roots := []*trust.Root{e.root}
	if !e.first && e.change.root != nil {
		roots = []*trust.Root{e.r.root, e.root}
	}
	if e.timestamp == nil {
		return trust.Judge(roots)
	}
	p, err := e.publication(roots)
	if err != nil {
		return err
	}
	if err := p.Judge(e.now); err != nil {
		return err
	}
	if e.handover && e.r.root.Expires().After(e.now) {
		p.Roots = roots[:1]
		return p.Judge(e.now)
	}
	return nil
}

func (e *edit) publication(roots []*trust.Root) (trust.Publication, error) {
	p := trust.Publication{Roots: roots, Timestamp: e.timestamp.Bytes(), Delegated: make(map[string][]byte, len(e.below))}
	for role, doc := range e.below {
		p.Delegated[role] = doc.Bytes()
	}
	if e.top != nil {
		p.Targets = e.top.Bytes()
	} else {
		p.Targets = e.r.edition.targets.Bytes()
	}
	if e.snapshot != nil {
		p.Snapshot = e.snapshot.Bytes()
		return p, nil
	}
	var err error
	p.Snapshot, err = os.ReadFile(e.r.folder.metadata(versioned(trust.RoleSnapshot, e.r.edition.snapshot.Version)))
	return p, err
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
	r.root = e.root
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
	for role, doc := range e.below {
		if r.binEnds != nil {
			r.binEnds[role] = doc.Expires()
		}
	}
}
