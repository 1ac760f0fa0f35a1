package trustd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/trust"
)

// TestProcedures walks through the table of docs/trust.md. After every step a client that knows nothing but the first root
// accepts the repository.
func TestProcedures(t *testing.T) {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2, 3}, threshold: 2}), nil, 1, 2)
	r.ok("POST", "bootstrap", bootstrapBody(root, 4))
	r.ok("POST", "artifacts", addBody("a"))
	steps := []struct {
		name     string
		root     rootSpec
		proposer byte
		others   []byte
		gone     []byte // whose keys count no longer
		passes   time.Duration
	}{
		{name: "a person has a new key", root: rootSpec{signers: []byte{1, 2, 4}, threshold: 2}, proposer: 4, others: []byte{1, 2}, gone: []byte{3}},
		{name: "somebody joins", root: rootSpec{signers: []byte{1, 2, 4, 5}, threshold: 3}, proposer: 1, others: []byte{5, 2}},
		{name: "somebody leaves", root: rootSpec{signers: []byte{1, 2, 4}, threshold: 2}, proposer: 1, others: []byte{5, 2}, gone: []byte{5}},
		{name: "all keys at once", root: rootSpec{signers: []byte{11, 12, 13}, threshold: 2}, proposer: 11, others: []byte{1, 12, 2}, gone: []byte{1, 2, 4}},
		{name: "a lost key", root: rootSpec{signers: []byte{11, 12, 14}, threshold: 2}, proposer: 11, others: []byte{12}, gone: []byte{13}},
		{name: "a key in wrong hands", root: rootSpec{signers: []byte{12, 14, 15}, threshold: 2}, proposer: 14, others: []byte{12}, gone: []byte{11}},
		{name: "another online key", root: rootSpec{signers: []byte{12, 14, 15}, threshold: 2, online: onlineTwo}, proposer: 14, others: []byte{12}},
		{name: "about to expire", root: rootSpec{signers: []byte{12, 14, 15}, threshold: 2, online: onlineTwo, days: 365}, proposer: 14, others: []byte{15}, passes: 360 * 24 * time.Hour},
		{name: "expired", root: rootSpec{signers: []byte{12, 14, 15}, threshold: 2, online: onlineTwo, days: 365}, proposer: 15, others: []byte{12}, passes: 400 * 24 * time.Hour},
	}
	r.hold(onlineTwo)
	for i, step := range steps {
		r.clock.pass(step.passes)
		previous := r.rootNow()
		step.root.version = int64(i + 2)
		next := r.newRoot(step.root)
		r.ok("POST", "metadata", rootBody(r.signed(next, previous, step.proposer)))
		for j, n := range step.others {
			if got := r.rootNow().Version(); got != previous.Version() {
				t.Errorf("%s: published before %d of %v signed", step.name, j, step.others)
			}
			r.ok("POST", "metadata/sign", r.signature("root", next, n))
		}
		if got := r.rootNow(); got.Version() != next.Version() || !trust.RootProcess(previous, got).Complete() {
			t.Errorf("%s: root is version %d", step.name, got.Version())
		}
		if err := r.srv.renewAll(t.Context(), caller{}); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		r.accepts("a")
		for _, n := range step.gone { // alone it cannot even propose, as no signature of it counts
			bad := r.newRoot(rootSpec{version: next.Version() + 1, signers: step.root.signers, threshold: step.root.threshold, online: step.root.online})
			sig, _ := who(n).Sign(t.Context(), bad.Payload())
			forged := strings.Replace(string(bad.Bytes()), `"signatures": []`, fmt.Sprintf(`"signatures": [{"keyid": %q, "sig": "%x"}]`, who(n).key(t).ID, sig), 1)
			contains(t, r.errored("POST", "metadata", `{"metadata":{"root":`+forged+`}}`), "Invalid signature")
		}
	}
}
