package trustd

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// steps are the kinds of lines of the audit log that are about what waits for signatures.
func (r *rig) steps() (kinds []string) {
	for _, line := range r.audited() {
		if strings.HasPrefix(line.Kind, "tuf:root ") {
			kinds = append(kinds, line.Kind)
		}
	}
	return kinds
}

// TestAuditOfWhatFails: a replacement that cannot be published, and with it does not happen, is not in the audit log.
func TestAuditOfWhatFails(t *testing.T) {
	r, root := begun(t, 2)
	waiting := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2}), root, 1)
	r.ok("POST", "metadata", rootBody(waiting))
	rotated := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1}, online: onlineTwo}), root, 1)
	contains(t, r.errored("PATCH", "metadata/sign", rootBody(rotated)), "no ssh-agent holds the online key")
	if got := r.steps(); len(got) != 0 {
		t.Errorf("nothing has happened, and the audit log says %q", got)
	}
	r.hold(onlineTwo)
	r.ok("PATCH", "metadata/sign", rootBody(rotated))
	if got := r.steps(); !slices.Equal(got, []string{"tuf:root replaced"}) {
		t.Errorf("the audit log says %q", got)
	}
}

// TestAuditOfWhatTheDiskRefuses: the line is there before what it tells of, and is taken back if that is not stored.
func TestAuditOfWhatTheDiskRefuses(t *testing.T) {
	r, root := begun(t, 2)
	next := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2}), root, 1)
	r.ok("POST", "metadata", rootBody(next))
	var path string
	r.look(func(repo *repository) { path = repo.folder.statePath() })
	aside := path + ".aside"
	if err := os.Rename(path, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil { // no file can take its place
		t.Fatal(err)
	}
	r.errored("POST", "metadata/sign", r.signature("root", next, 2))
	r.errored("POST", "metadata/sign/delete", map[string]any{"role": "root"})
	want := []string{"tuf:root accepted", "tuf:root not accepted", "tuf:root accepted", "tuf:root not accepted", "tuf:root cancelled", "tuf:root not cancelled"}
	if got := r.steps(); !slices.Equal(got, want) {
		t.Errorf("the audit log says\n%q, want\n%q", got, want)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	r.ok("POST", "metadata/sign", r.signature("root", next, 2))
	if got := r.steps(); !slices.Equal(got, append(want, "tuf:root accepted")) {
		t.Errorf("the audit log says %q", got)
	}
	r.accepts()
}

// TestAuditOfOneThingTwice: a role that is named twice has ended once.
func TestAuditOfOneThingTwice(t *testing.T) {
	r := begunDelegated(t)
	r.ok("POST", "delegations", map[string]any{"delegations": delegations("dev/*", who(7).key(t))})
	twice := []any{map[string]any{"name": "Dev_Team"}, map[string]any{"name": "Dev_Team"}}
	r.ok("POST", "delegations/delete", map[string]any{"delegations": map[string]any{"roles": twice}})
	n := 0
	for _, line := range r.audited() {
		if line.Kind == "tuf:Dev_Team cancelled" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the audit log says %d times that the role has ended", n)
	}
}

// TestAuditComesFirst: what cannot be recorded is not done.
func TestAuditComesFirst(t *testing.T) {
	r, root := begun(t, 2)
	next := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2}), root, 1)
	r.ok("POST", "metadata", rootBody(next))
	if err := os.Rename(r.dirs.AuditLog(), r.dirs.AuditLog()+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.dirs.AuditLog(), 0o700); err != nil {
		t.Fatal(err)
	}
	contains(t, r.errored("POST", "metadata/sign", r.signature("root", next, 2)), "cannot record the change, so it was not made")
	contains(t, r.errored("POST", "metadata/sign/delete", map[string]any{"role": "root"}), "cannot record the change, so it was not made")
	if got := r.http("GET", "/api/v1/metadata/sign", nil); !strings.Contains(got.text, who(1).key(t).ID) || r.rootNow().Version() != 1 {
		t.Errorf("%s", got.text)
	}
}
