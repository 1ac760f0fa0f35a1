package trustd

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

// TestAgenda: what lnk status reads follows every change, and is there again after it was lost.
func TestAgenda(t *testing.T) {
	r := newRig(t)
	read := func() trust.Agenda {
		t.Helper()
		list, err := trust.ReadAgendas(filepath.Join(r.dirs.State, "trust"))
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0]
	}
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	days := map[string]int{"root": 365, "targets": 365, "snapshot": 1, "timestamp": 1}
	if _, err := r.srv.bootstrap(t.Context(), trust.BootstrapArgs{Root: root.Bytes(), Expiration: days}); err != nil {
		t.Fatal(err)
	}
	if a := read(); len(a.Roles) != 0 || len(a.Pending) != 1 || !a.Pending[0].Signers[0].Signed || a.Pending[0].Signers[1].Signed {
		t.Errorf("%+v", a)
	}
	r.ok("POST", "metadata/sign", r.signature("root", root, 2))
	if a := read(); len(a.Pending) != 0 || len(a.Roles) != 1 || !a.Roles[0].Expires.Equal(root.Expires()) {
		t.Errorf("%+v", a)
	}
	until := r.clock.Now().Add(time.Hour)
	who7, who8 := r.peer(7), r.peer(8)
	docs := trust.Delegation{Name: "docs", Peers: []peer.ID{who7, who8}, Threshold: 2, Paths: []string{"docs/*"}, Days: 60, Names: map[peer.ID]string{who7: "Ann"}}
	delegate := func() (trust.Result, error) {
		return r.srv.delegate(t.Context(), trust.DelegateArgs{Delegations: []trust.Delegation{docs}, Deadline: &until})
	}
	if got, err := delegate(); err != nil || got.Complete || got.Role != "docs" || got.Version != 1 || got.Digest == "" {
		t.Fatal(got, err)
	}
	if a := read(); len(a.Pending) != 1 || !a.Pending[0].Deadline.Equal(until) || a.Pending[0].Signers[0].Name != "Ann" {
		t.Errorf("%+v", a)
	}
	r.clock.pass(time.Hour)
	if err := r.srv.renewAll(t.Context(), caller{}); err != nil {
		t.Fatal(err)
	}
	if a := read(); len(a.Pending) != 0 {
		t.Errorf("the deadline has passed: %+v", a)
	}
	until = until.Add(2 * time.Hour)
	if _, err := delegate(); err != nil {
		t.Fatal(err)
	}
	r.signAs("docs", 7, 8)
	if a := read(); len(a.Pending) != 0 || len(a.Roles) != 2 || a.Roles[1].Role != "docs" || a.Roles[1].Version != 1 {
		t.Errorf("%+v", a)
	}
	r.restart()
	r.accepts()
	if a := read(); len(a.Roles) != 2 {
		t.Errorf("%+v", a)
	}
	r.clock.pass(59 * 24 * time.Hour)
	if err := r.srv.renewAll(t.Context(), caller{}); err != nil {
		t.Fatal(err)
	}
	if w := read().Warnings(r.clock.Now()); len(w) != 1 || w[0].Role != "docs" {
		t.Errorf("%+v", w)
	}
	// Renewed, it is good for sixty days again; clients take what they took.
	until = r.clock.Now().Add(time.Hour)
	renewed, err := r.srv.force(t.Context(), trust.ForceArgs{Roles: []string{"docs", "timestamp"}, Deadline: &until})
	if err != nil || renewed.Role != "docs" || renewed.Version != 2 || renewed.Complete {
		t.Fatal(renewed, err)
	}
	r.signAs("docs", 8, 7)
	if a := read(); a.Roles[1].Version != 2 || len(a.Warnings(r.clock.Now())) != 0 {
		t.Errorf("%+v", a)
	}
	r.accepts()
}
