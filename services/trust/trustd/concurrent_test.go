package trustd

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/trust"
)

// TestD4_NoSignatureIsLost: two hundred people sign at the same time, and every signature counts.
func TestD4_NoSignatureIsLost(t *testing.T) {
	const people = 200
	r := newRig(t)
	quorum := trust.Role{Threshold: people}
	var all []person
	for i := range people {
		all = append(all, personNumber(i))
		quorum.Keys = append(quorum.Keys, all[i].key(t))
	}
	root := r.newRoot(rootSpec{signers: []byte{1}, change: func(s *trust.RootSpec) { s.Roles[trust.RoleRoot] = quorum }})
	first, err := trust.SignRoot(t.Context(), all[0], root, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.ok("POST", "bootstrap", bootstrapBody(first, 2))
	started := time.Now()
	var signers sync.WaitGroup
	for _, p := range all[1:] {
		signers.Go(func() {
			sig, _ := p.Sign(t.Context(), root.Payload())
			if _, err := r.srv.sign(t.Context(), trust.SignArgs{KeyID: p.key(t).ID, Signature: sig}); err != nil {
				t.Error(err)
			}
		})
	}
	signers.Wait()
	t.Logf("%d signatures at once in %v", people, time.Since(started))
	r.accepts()
	if got := len(r.rootNow().Signatures()); got != people {
		t.Errorf("%d signatures are published, want %d", got, people)
	}
}

func personNumber(i int) person {
	p := who(0)
	seed := slices.Clone(p.Seed())
	seed[0], seed[1], seed[2] = byte(i), byte(i>>8), 200
	return personOf(seed)
}

// TestP8_TwoOverriders: of two who saw the same, one wins and the other is told.
func TestP8_TwoOverriders(t *testing.T) {
	r, root := begun(t, 2)
	r.ok("POST", "metadata", rootBody(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2}), root, 1)))
	for round := range 10 {
		seen := r.http("GET", "/api/v1/metadata/sign", nil).header.Get("ETag")
		var won, told atomic.Int32
		var racers sync.WaitGroup
		for i := range 4 {
			doc := rootBody(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2, days: 100 + 10*round + i}), root, 1))
			racers.Go(func() {
				switch a := r.http("PATCH", "/api/v1/metadata/sign", doc, "If-Match", seen); a.status {
				case http.StatusAccepted:
					won.Add(1)
				case http.StatusPreconditionFailed:
					told.Add(1)
				default:
					t.Error(a)
				}
			})
		}
		racers.Wait()
		if won.Load() != 1 || told.Load() != 3 {
			t.Errorf("%d won, %d were told", won.Load(), told.Load())
		}
	}
}

// TestP8_SignerRacesOverride: whichever comes first, what is pending is consistent, and a signature over what was replaced
// is refused, not lost without a word.
func TestP8_SignerRacesOverride(t *testing.T) {
	r, root := begun(t, 2)
	one := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2, 3}, threshold: 3}), root, 1)
	r.ok("POST", "metadata", rootBody(one))
	for round := range 10 {
		next := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2, 3}, threshold: 3, days: 100 + round}), root, 1)
		var racers sync.WaitGroup
		var signed answer
		racers.Go(func() { signed = r.http("POST", "/api/v1/metadata/sign", r.signature("root", one, 2)) })
		racers.Go(func() { r.http("PATCH", "/api/v1/metadata/sign", rootBody(next)) })
		racers.Wait()
		late := signed.at("data", "error")
		if late != nil && late != "Invalid signature" {
			t.Error(signed)
		}
		r.look(func(repo *repository) {
			doc := repo.drafts["root"]
			if digest(doc) != digest(next) || len(doc.Signatures()) != 1 || !repo.signing("root", doc, repo.state.Pending["root"]).Own.Complete() == false {
				t.Errorf("round %d: %d signatures", round, len(doc.Signatures()))
			}
		})
		one = next
	}
	r.ok("POST", "metadata/sign", r.signature("root", one, 2))
	r.ok("POST", "metadata/sign", r.signature("root", one, 3))
	r.accepts()
}

// TestManyAtOnce: everything at the same time, and every client that looks meanwhile finds a repository that it accepts.
func TestManyAtOnce(t *testing.T) {
	r, _ := begun(t, 16)
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for j := range 5 {
				a := r.http("POST", "/api/v1/artifacts", addBody(fmt.Sprintf("%d-%d", i, j)))
				if a.status != http.StatusAccepted || a.at("data", "error") != nil {
					t.Error(a)
				}
			}
		})
		work.Go(func() {
			for range 5 {
				if _, err := r.client(""); err != nil {
					t.Errorf("a client refuses: %v", err)
				}
			}
		})
	}
	work.Wait()
	var all []string
	for i := range 4 {
		for j := range 5 {
			all = append(all, fmt.Sprintf("%d-%d", i, j))
		}
	}
	r.accepts(all...)
}

// TestNothingIsStored has the disk refuse what two people have signed at the same time: both are told.
func TestNothingIsStored(t *testing.T) {
	r, root := begun(t, 2)
	next := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2}), root, 1)
	r.ok("POST", "metadata", rootBody(next))
	sig := func(n byte) trust.Signature {
		return trust.Signature{KeyID: who(n).key(t).ID, Sig: ed25519.Sign(who(n).PrivateKey, next.Payload())}
	}
	r.look(func(rep *repository) {
		path := rep.folder.statePath()
		if err := errors.Join(os.Rename(path, path+".away"), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		batch := []*signRequest{{role: trust.RoleRoot, sig: sig(1)}, {role: trust.RoleRoot, sig: sig(2)}}
		rep.settleAll(t.Context(), batch)
		for i, q := range batch {
			if q.err == nil || !q.settled {
				t.Errorf("signature %d: %+v", i, q)
			}
		}
		if err := errors.Join(os.Remove(path), os.Rename(path+".away", path)); err != nil {
			t.Fatal(err)
		}
	})
	r.signAs(trust.RoleRoot, 2)
	r.accepts()
	if version := r.rootNow().Version(); version != 2 {
		t.Errorf("root has version %d", version)
	}
}

// TestStoredButNotVisible has the disk refuse the file that clients look for first: what is stored is not forgotten.
func TestStoredButNotVisible(t *testing.T) {
	r, root := begun(t, 2)
	var path string
	r.look(func(rep *repository) { path = rep.folder.metadata(timestampFile) })
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	contains(t, r.errored("POST", "artifacts", addBody("a")), "stored, but clients cannot see it yet")
	next := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2}), root, 1)
	contains(t, r.errored("POST", "metadata", rootBody(next)), "stored, but clients cannot see it yet")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.signAs(trust.RoleRoot, 2)
	r.accepts("a")
	if version := r.rootNow().Version(); version != 2 {
		t.Errorf("root has version %d", version)
	}
}
