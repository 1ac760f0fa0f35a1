package trustd

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

// The names of these tests are the rules of Repository Service for TUF's worker (R), of its missing PATCH (P), and its
// known defects (D), as the reference on trust numbers them.

func pendingState(r *rig) (s *state) {
	r.look(func(repo *repository) { s = repo.state })
	return s
}

func contains(t *testing.T, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("%q, want %q in it", text, want)
	}
}

func sameContent(t *testing.T, text string, want *trust.Root) bool {
	got, err := trust.ParseRoot([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return digest(got) == digest(want) && len(got.Signatures()) == len(want.Signatures())
}

func TestR1_P4_BootstrapOnlyOnce(t *testing.T) {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	r.ok("POST", "bootstrap", bootstrapBody(root, 2))
	before := pendingState(r)
	a := r.http("POST", "/api/v1/bootstrap", bootstrapBody(root, 2))
	if a.status != 404 || a.at("detail", "error") != "System already has a Metadata. State: signing" || pendingState(r) != before {
		t.Error(a)
	}
	r.ok("POST", "metadata/sign", r.signature("root", root, 2))
	if a := r.http("POST", "/api/v1/bootstrap", bootstrapBody(root, 2)); a.status != 404 || a.at("detail", "error") != "System already has a Metadata. State: finished" {
		t.Error(a)
	}
}

func TestR2_R3_D1_BootstrapNeedsValidSignatures(t *testing.T) {
	r := newRig(t)
	unsigned := r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2})
	contains(t, r.errored("POST", "bootstrap", bootstrapBody(unsigned, 2)), "Metadata requires at least one valid signature")
	other := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 1}), nil, 1)
	swapped := strings.Replace(string(unsigned.Bytes()), `"signatures": []`, fmt.Sprintf(`"signatures": [{"keyid": %q, "sig": "%x"}]`, who(1).key(t).ID, other.Signatures()[0].Sig), 1)
	forged, err := trust.ParseRoot([]byte(swapped))
	if err != nil || len(forged.Signatures()) != 1 {
		t.Fatal(err)
	}
	contains(t, r.errored("POST", "bootstrap", bootstrapBody(forged, 2)), "Bootstrap has invalid signature(s)")
	// One good and one bad is bad (R3).
	contains(t, r.errored("POST", "bootstrap", bootstrapBody(r.signed(forged, nil, 2), 2)), "Bootstrap has invalid signature(s)")
	if s := pendingState(r); s.Bootstrap != "" || len(s.Pending) != 0 {
		t.Errorf("something stays: %+v", s)
	}
}

func TestR4_Settings(t *testing.T) {
	r := newRig(t)
	if a := r.http("GET", "/api/v1/config", nil); a.status != 404 || a.at("detail", "message") != "No Repository Settings/Config found." || a.at("detail", "error") != "It requires bootstrap. State: None" {
		t.Error(a)
	}
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2, 3}, threshold: 2}), nil, 1, 2)
	r.ok("POST", "bootstrap", bootstrapBody(root, 4))
	a := r.http("GET", "/api/v1/config/", nil)
	for name, want := range map[string]any{"root_expiration": 365.0, "root_threshold": 2.0, "root_num_keys": 2.0, "timestamp_num_keys": 1.0, "targets_online_key": true, "number_of_delegated_bins": 4.0} {
		if a.at("data", name) != want {
			t.Errorf("%s is %v, want %v", name, a.at("data", name), want)
		}
	}
}

func TestR5_R6_FinishBootstrap(t *testing.T) {
	r, root := begun(t, 4)
	for _, name := range []string{"1.root", "1.targets", "1.bins-0", "1.bins-3", "1.snapshot", "timestamp"} {
		a := r.http("GET", "/metadata/"+name+".json", nil)
		if a.status != 200 || a.at("signed", "version") != 1.0 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if !sameContent(t, r.http("GET", "/metadata/1.root.json", nil).text, root) {
		t.Error("the root is not published as it was sent")
	}
	want := r.clock.Now().AddDate(0, 0, 1).Format(time.RFC3339)
	if got := r.http("GET", "/metadata/timestamp.json", nil).at("signed", "expires"); got != want {
		t.Errorf("timestamp expires %v, want %s", got, want)
	}
	if s := pendingState(r); s.phase() != phaseFinished || len(s.Pending) != 0 || strings.Contains(s.Bootstrap, "-") {
		t.Errorf("%+v", s)
	}
}

func TestR7_R8_D5_UpdateIsChecked(t *testing.T) {
	r, root := begun(t, 2)
	for why, spec := range map[string]rootSpec{
		"Failed to verify the trust: Expected root version 2 instead got version 5": {version: 5},
		"Failed to verify the trust: Expected root version 2 instead got version 1": {version: 1},
		"root expired on":                  {version: 2, days: -1},
		"consistent_snapshot must be true": {version: 2, change: func(s *trust.RootSpec) { s.Snapshot = false }},
		"must have one key": {version: 2, change: func(s *trust.RootSpec) {
			s.Roles[trust.RoleTargets] = trust.Role{Threshold: 1, Keys: []trust.Key{who(77).key(t)}}
		}},
		"online key must not be a root key": {version: 2, online: 1},
	} {
		spec.signers = []byte{1}
		contains(t, r.errored("POST", "metadata", rootBody(r.signed(r.newRoot(spec), nil, 1))), why)
	}
	if s := pendingState(r); len(s.Pending) != 0 {
		t.Error("something is pending")
	}
	// Version 1 of a bootstrap is checked likewise.
	fresh := newRig(t)
	contains(t, fresh.errored("POST", "bootstrap", bootstrapBody(fresh.signed(fresh.newRoot(rootSpec{version: 2, signers: []byte{1}}), nil, 1), 2)), "Expected root version 1 instead got version 2")
	contains(t, fresh.errored("POST", "bootstrap", bootstrapBody(fresh.signed(fresh.newRoot(rootSpec{signers: []byte{1}, days: -1}), nil, 1), 2)), "expired")
	_ = root
}

func TestR9_R10_BothQuorums(t *testing.T) {
	r, root := begun(t, 2)
	next := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{4, 5}, threshold: 2}), root, 4)
	r.ok("POST", "metadata", rootBody(next))
	r.ok("POST", "metadata/sign", r.signature("root", next, 5))
	if a := r.http("GET", "/metadata/2.root.json", nil); a.status != 404 {
		t.Error("published without the old quorum")
	}
	contains(t, r.errored("POST", "metadata/sign", r.signature("root", next, 9)), "Invalid signature")
	bad := r.signature("root", next, 1)
	bad["signature"].(map[string]any)["sig"] = strings.Repeat("00", 64)
	contains(t, r.errored("POST", "metadata/sign", bad), "Invalid signature")
	bad["signature"].(map[string]any)["sig"] = "no hex"
	contains(t, r.errored("POST", "metadata/sign", bad), "Invalid signature")
	// The same key again replaces its signature and counts once.
	r.ok("POST", "metadata/sign", r.signature("root", next, 5))
	got := r.ok("POST", "metadata/sign", r.signature("root", next, 1))
	if got["details"].(map[string]any)["update"] != "Metadata update finished" {
		t.Error(got)
	}
	contains(t, r.errored("POST", "metadata/sign", r.signature("root", next, 1)), "No signatures pending for root")
	r.accepts()
}

func delegations(paths string, who ...trust.Key) map[string]any {
	keys, ids := map[string]any{}, []string{}
	for _, k := range who {
		keys[k.ID] = map[string]any{"keytype": "ed25519", "scheme": "ed25519", "keyval": map[string]any{"public": hex.EncodeToString(k.Public)}}
		ids = append(ids, k.ID)
	}
	role := map[string]any{"name": "Dev_Team", "keyids": ids, "threshold": max(len(ids), 1), "terminating": true, "paths": []string{paths}, "x-rstuf-expire-policy": 30}
	return map[string]any{"keys": keys, "roles": []any{role}}
}

// begunDelegated delegates "online/*" to the online key from the start.
func begunDelegated(t *testing.T) *rig {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1}}), nil, 1)
	body := bootstrapBody(root, 0)
	d := delegations("online/*", who(onlineOne).key(t))
	d["roles"].([]any)[0].(map[string]any)["name"] = "online-files"
	body["settings"].(map[string]any)["roles"].(map[string]any)["delegations"] = d
	r.ok("POST", "bootstrap", body)
	return r
}

func TestR11_D7_D8_DelegatedRole(t *testing.T) {
	r := begunDelegated(t)
	r.ok("POST", "artifacts", addBody("online/x"))
	r.accepts("online/x")
	r.ok("POST", "delegations/", map[string]any{"delegations": delegations("dev/*", who(7).key(t), who(8).key(t))})
	r.accepts("online/x") // nothing leads to a role that is not there yet
	a := r.http("GET", "/api/v1/metadata/sign", nil)
	if a.at("data", "metadata", "Dev_Team", "signed", "_type") != "targets" || a.at("data", "metadata", "trusted_targets", "signed", "delegations") == nil {
		t.Fatalf("the name of the role is not kept: %s", a.text)
	}
	sign := func(n byte) map[string]any {
		var doc trust.Document
		r.look(func(repo *repository) { doc = repo.drafts["Dev_Team"] })
		return r.ok("POST", "metadata/sign", r.signature("Dev_Team", doc, n))
	}
	sign(7)
	if got := sign(8); got["details"].(map[string]any)["update"] != "Metadata update finished" {
		t.Error(got)
	}
	r.accepts("online/x")
	// Artifacts of a role that people sign wait for them.
	r.ok("POST", "artifacts", addBody("dev/tool"))
	r.accepts("online/x")
	r.restart()
	sign(8)
	sign(7)
	r.accepts("online/x", "dev/tool")
	got := r.do("POST", "artifacts", addBody("elsewhere/x"))
	if fmt.Sprint(got["details"]) != "map[added_artifacts:[] invalid_paths:[elsewhere/x]]" {
		t.Error(got)
	}
	r.ok("POST", "delegations/delete", map[string]any{"delegations": map[string]any{"roles": []any{map[string]any{"name": "Dev_Team"}}}})
	r.accepts("online/x")
	if u, err := r.client(""); err != nil {
		t.Error(err)
	} else if _, err := u.GetTargetInfo("dev/tool"); err == nil {
		t.Error("an artifact of a role that is gone is still there")
	}
	// Without a finished bootstrap there are no trusted targets, and no crash (D8).
	if a := newRig(t).http("POST", "/api/v1/delegations", map[string]any{"delegations": delegations("a", who(7).key(t))}); a.status != 200 || a.at("detail", "message") != "Task not accepted." {
		t.Error(a)
	}
}

func TestR12_RotateOnlineKey(t *testing.T) {
	for name, oldKeyGone := range map[string]bool{"both at hand": false, "old one lost": true} {
		t.Run(name, func(t *testing.T) {
			r, root := begun(t, 4)
			r.ok("POST", "artifacts", addBody("a"))
			next := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, online: onlineTwo}), root, 1)
			contains(t, r.errored("POST", "metadata", rootBody(next)), "no ssh-agent holds the online key")
			if a := r.http("GET", "/metadata/2.root.json", nil); a.status != 404 {
				t.Error("the root is published though nothing could be signed for it")
			}
			r.accepts("a")
			r.hold(onlineTwo)
			if oldKeyGone {
				if err := r.ring.RemoveAll(); err != nil {
					t.Fatal(err)
				}
				r.hold(onlineTwo)
			}
			r.ok("POST", "metadata", rootBody(next))
			for _, name := range []string{"3.bins-0", "2.targets", "3.snapshot", "2.root"} {
				if name == "3.bins-0" {
					continue // which bin holds "a" does not matter
				}
				if a := r.http("GET", "/metadata/"+name+".json", nil); a.status != 200 {
					t.Errorf("%s: %d", name, a.status)
				}
			}
			r.accepts("a")
			var handover bool
			r.look(func(repo *repository) { handover = repo.state.Handover })
			if handover == oldKeyGone {
				t.Errorf("the timestamp is signed by both: %v", handover)
			}
			r.ok("POST", "artifacts", addBody("b"))
			r.accepts("a", "b")
		})
	}
}

func TestR12_RootAloneLeavesTheRest(t *testing.T) {
	r, root := begun(t, 2)
	before := r.http("GET", "/metadata/timestamp.json", nil).text
	r.ok("POST", "metadata", rootBody(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1}}), root, 1)))
	if r.http("GET", "/metadata/2.root.json", nil).status != 200 || r.http("GET", "/metadata/timestamp.json", nil).text != before {
		t.Error("more or less than the root is new")
	}
}

func TestR14_RenewInTime(t *testing.T) {
	r, _ := begun(t, 2)
	renew := func() {
		t.Helper()
		if err := r.srv.renewAll(t.Context(), caller{}); err != nil {
			t.Fatal(err)
		}
	}
	version := func() any { return r.http("GET", "/metadata/timestamp.json", nil).at("signed", "version") }
	r.clock.pass(22*time.Hour + 59*time.Minute)
	renew()
	if version() != 1.0 {
		t.Error("renewed with more than an hour left")
	}
	r.clock.pass(2 * time.Minute)
	renew()
	if version() != 2.0 || r.http("GET", "/metadata/2.bins-0.json", nil).status != 200 {
		t.Error("not renewed in time")
	}
	r.accepts()
	r.clock.pass(72 * time.Hour) // the machine was off
	r.restart()
	renew()
	r.accepts()
	if r.http("GET", "/metadata/2.targets.json", nil).status != 404 {
		t.Error("targets, good for a year, is new")
	}
}

func TestR15_Delete(t *testing.T) {
	for _, how := range []struct{ method, path string }{{"POST", "metadata/sign/delete"}, {"DELETE", "metadata/sign"}, {"DELETE", "metadata/sign/"}} {
		r := newRig(t)
		gone := r.http(how.method, "/api/v1/"+how.path, map[string]any{"role": "root"})
		if gone.status != 404 || gone.at("detail", "message") != "No signing process for root." || gone.at("detail", "error") != "The root role is not in a signing process." {
			t.Error(gone)
		}
		root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
		r.ok("POST", "bootstrap", bootstrapBody(root, 2))
		got := r.ok(how.method, how.path, map[string]any{"role": "root"})
		if got["message"] != "Deletion of root metadata successful, signing process stopped" || got["details"].(map[string]any)["bootstrap"] != "Bootstrap process has been stopped" {
			t.Error(got)
		}
		if s := pendingState(r); s.Bootstrap != "" {
			t.Error(s.Bootstrap)
		}
		r.ok("POST", "bootstrap", bootstrapBody(root, 2))
	}
}

func TestR16_ForceOnline(t *testing.T) {
	r, _ := begun(t, 2)
	versions := func() (v [4]int64) {
		r.look(func(repo *repository) {
			e := repo.edition
			v = [4]int64{e.snapshot.Versions["bins-0"], e.targets.Version(), e.snapshot.Version, e.timestamp.Version}
		})
		return v
	}
	for _, test := range []struct {
		roles []string
		want  [4]int64
	}{
		{[]string{"timestamp"}, [4]int64{1, 1, 1, 2}}, {[]string{"snapshot"}, [4]int64{1, 1, 2, 3}}, {[]string{"targets"}, [4]int64{1, 2, 3, 4}},
		{[]string{"bins"}, [4]int64{2, 2, 4, 5}}, {[]string{}, [4]int64{3, 3, 5, 6}},
	} {
		r.ok("POST", "metadata/online/", map[string]any{"roles": test.roles})
		if got := versions(); got != test.want {
			t.Errorf("%v: %v, want %v", test.roles, got, test.want)
		}
		r.accepts()
	}
	if a := r.http("POST", "/api/v1/metadata/online", map[string]any{"roles": []string{"dev"}}); a.status != 404 || !strings.Contains(a.text, "Hash bin delegation is used and only") {
		t.Error(a)
	}
}

func TestR17_Configure(t *testing.T) {
	r, _ := begun(t, 2)
	got := r.ok("PUT", "config/", map[string]any{"settings": map[string]any{"expiration": map[string]any{"timestamp": 9, "nobody": 3, "bins": 0}}})
	if fmt.Sprint(got["details"]) != "map[invalid_roles:[bins nobody] updated_roles:[timestamp]]" {
		t.Error(got)
	}
	r.ok("POST", "metadata/online", map[string]any{"roles": []string{"timestamp"}})
	want := r.clock.Now().AddDate(0, 0, 9).Format(time.RFC3339)
	if got := r.http("GET", "/metadata/timestamp.json", nil).at("signed", "expires"); got != want {
		t.Errorf("expires %v, want %s", got, want)
	}
}

func TestP1_P5_P6_P7_Override(t *testing.T) {
	r := newRig(t)
	if a := r.http("PATCH", "/api/v1/metadata/sign", rootBody(r.newRoot(rootSpec{signers: []byte{1}}))); a.status != 404 || a.at("detail", "message") != "No signing process for root." { // P2
		t.Error(a)
	}
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2, 3}, threshold: 2}), nil, 1)
	r.ok("POST", "bootstrap", bootstrapBody(root, 2))
	patch := func(doc trust.Document) answer { return r.http("PATCH", "/api/v1/metadata/sign/", rootBody(doc)) }

	if a := patch(root); a.status != 409 || !strings.Contains(a.text, "Metadata cannot be patched - new metadata same as the old one") { // P3
		t.Error(a)
	}
	// The same content with other signatures would only erase what was collected (P3).
	if a := patch(r.signed(r.newRoot(rootSpec{signers: []byte{1, 2, 3}, threshold: 2}), nil, 3)); a.status != 409 {
		t.Error(a)
	}
	other := r.newRoot(rootSpec{signers: []byte{1, 2, 4}, threshold: 2})
	if a := patch(other); a.status != 422 { // P5: unsigned
		t.Error(a)
	}
	replay := strings.Replace(string(other.Bytes()), `"signatures": []`, fmt.Sprintf(`"signatures": [{"keyid": %q, "sig": "%x"}]`, who(1).key(t).ID, root.Signatures()[0].Sig), 1)
	if a := r.http("PATCH", "/api/v1/metadata/sign", `{"metadata":{"root":`+replay+`}}`); a.status != 422 || !strings.Contains(a.text, "Invalid signature") { // P5: a signature over the old content
		t.Error(a)
	}
	if a := patch(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1}}), nil, 1)); a.status != 422 || !strings.Contains(a.text, "Expected root version 1") {
		t.Error(a)
	}
	got := r.ok("PATCH", "metadata/sign", rootBody(r.signed(other, nil, 4)))
	if got["details"].(map[string]any)["update"] != "Root v1 is pending signatures" {
		t.Error(got)
	}
	var pendingDoc trust.Document
	r.look(func(repo *repository) { pendingDoc = repo.drafts["root"] })
	if len(pendingDoc.Signatures()) != 1 || pendingDoc.Signatures()[0].KeyID != who(4).key(t).ID {
		t.Error("old signatures are kept")
	}
	contains(t, r.errored("POST", "metadata/sign", r.signature("root", root, 2)), "Invalid signature") // over what is no longer pending
	final := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2, 5}, threshold: 2}), nil, 1, 5)
	r.ok("PATCH", "metadata/sign", rootBody(final)) // P6
	r.accepts()
	if !sameContent(t, r.http("GET", "/metadata/1.root.json", nil).text, final) {
		t.Error("not the last one is published")
	}

	// The same with an update, and cancelled after (P1, P7).
	r.ok("POST", "metadata", rootBody(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{6}}), final, 1)))
	r.ok("PATCH", "metadata/sign", rootBody(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{7}}), final, 5)))
	r.ok("DELETE", "metadata/sign", map[string]any{"role": "root"})
	if a := r.http("GET", "/api/v1/metadata/sign", nil); a.status != 200 || a.at("message") != "No metadata pending signing available" || a.body["data"] != nil {
		t.Error(a)
	}
}

func TestP8_CompareAndSwap(t *testing.T) {
	r, root := begun(t, 2)
	r.ok("POST", "metadata", rootBody(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2}), root, 1)))
	seen := r.http("GET", "/api/v1/metadata/sign", nil).header.Get("ETag")
	if len(seen) != 66 {
		t.Fatalf("ETag %s", seen)
	}
	first := rootBody(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{3, 4}, threshold: 2}), root, 1))
	second := rootBody(r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{5, 6}, threshold: 2}), root, 1))
	r.ok("PATCH", "metadata/sign", first, "If-Match", seen)
	if a := r.http("PATCH", "/api/v1/metadata/sign", second, "If-Match", seen); a.status != 412 {
		t.Error(a)
	}
	if a := r.http("DELETE", "/api/v1/metadata/sign", map[string]any{"role": "root"}, "If-Match", seen); a.status != 412 {
		t.Error(a)
	}
	r.ok("PATCH", "metadata/sign", second, "If-Match", r.http("GET", "/api/v1/metadata/sign", nil).header.Get("ETag"))
	r.ok("PATCH", "metadata/sign", first, "If-Match", "*")
}

func TestD1_UpdateNeedsValidSignatures(t *testing.T) {
	r, root := begun(t, 2)
	next := r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2})
	contains(t, r.errored("POST", "metadata", rootBody(next)), "at least one valid signature")
	stranger := strings.Replace(string(next.Bytes()), `"signatures": []`, fmt.Sprintf(`"signatures": [{"keyid": %q, "sig": %q}]`, who(9).key(t).ID, strings.Repeat("ab", 64)), 1)
	contains(t, r.errored("POST", "metadata", `{"metadata":{"root":`+stranger+`}}`), "Invalid signature")
	if len(pendingState(r).Pending) != 0 {
		t.Error("it is pending")
	}
	_ = root
}

func TestD2_D3_NothingIsOverwritten(t *testing.T) {
	r, root := begun(t, 2)
	one := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2}, threshold: 2}), root, 1)
	r.ok("POST", "metadata", rootBody(one))
	full := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1}}), root, 1)
	contains(t, r.errored("POST", "metadata", rootBody(full)), "Root v2 is pending signatures already")
	r.ok("POST", "metadata/sign", r.signature("root", one, 2))
	if r.http("GET", "/metadata/2.root.json", nil).at("signed", "version") != 2.0 {
		t.Error("not published")
	}
	// A version that clients may have is never replaced, whatever the state says.
	r.look(func(repo *repository) {
		if err := repo.folder.place("2.root.json", []byte("other"), true); !errors.Is(err, ipc.Corrupt) {
			t.Error(err)
		}
	})
}

func TestD4_SignatureKeptWhenPublishingFails(t *testing.T) {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	r.ok("POST", "bootstrap", bootstrapBody(root, 2))
	if err := r.ring.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	contains(t, r.errored("POST", "metadata/sign", r.signature("root", root, 2)), "the signature is kept")
	if r.http("GET", "/metadata/timestamp.json", nil).status != 404 {
		t.Error("published without the online key")
	}
	r.hold(onlineOne)
	r.restart()
	if err := r.srv.renewAll(t.Context(), caller{}); err != nil {
		t.Fatal(err)
	}
	r.accepts()
}

func TestD6_FailureIsToldAtOnce(t *testing.T) {
	r, _ := begun(t, 2)
	a := r.http("POST", "/api/v1/metadata/sign", r.signature("root", r.rootNow(), 1))
	if a.status != 202 || a.at("data", "state") != "ERRORED" || a.at("data", "error") != "No signatures pending for root" {
		t.Error(a)
	}
}

func TestD9_NoCrashWithoutBootstrap(t *testing.T) {
	r := newRig(t)
	sig := map[string]any{"role": "root", "signature": map[string]any{"keyid": "ab", "sig": "00"}}
	for _, q := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"POST", "metadata", rootBody(r.newRoot(rootSpec{signers: []byte{1}})), 404}, {"POST", "metadata/sign", sig, 404}, {"GET", "metadata/sign", nil, 404},
		{"POST", "artifacts", addBody("a"), 404}, {"POST", "artifacts/delete", map[string]any{"artifacts": []string{"a"}}, 404},
		{"POST", "metadata/online", map[string]any{"roles": []string{}}, 404}, {"PUT", "config", map[string]any{"settings": map[string]any{}}, 404},
	} {
		if a := r.http(q.method, "/api/v1/"+q.path, q.body); a.status != q.status {
			t.Errorf("%s %s: %d %s", q.method, q.path, a.status, a.text)
		}
	}
	contains(t, r.errored("POST", "artifacts/publish", nil), "It requires bootstrap finished. State: None")
}

func TestD10_DeadlineEndsAProcess(t *testing.T) {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	until := r.clock.Now().Add(time.Hour)
	days := map[string]int{"root": 365, "targets": 365, "snapshot": 1, "timestamp": 1, "bins": 1}
	if _, err := r.srv.bootstrap(t.Context(), trust.BootstrapArgs{Root: root.Bytes(), Expiration: days, Bins: 2, Deadline: &until}); err != nil {
		t.Fatal(err)
	}
	r.clock.pass(time.Hour - time.Second)
	status := func() (waiting []trust.PendingRole) {
		result, err := r.srv.status(t.Context(), trust.RepositoryArgs{})
		if err != nil {
			t.Fatal(err)
		}
		return result.Pending
	}
	if list := status(); len(list) != 1 || !list[0].Deadline.Equal(until) {
		t.Fatalf("before its time: %+v", list)
	}
	r.clock.pass(time.Second) // whoever looks first finds it ended
	if list := status(); len(list) != 0 {
		t.Errorf("after its time: %+v", list)
	}
	if a := r.http("POST", "/api/v1/metadata/sign", r.signature("root", root, 2)); a.status != 404 {
		t.Errorf("a signature that comes too late: %d %s", a.status, a.text)
	}
	if s := pendingState(r); s.Bootstrap != "" || len(s.Pending) != 0 || s.Events[len(s.Events)-1].Kind != kindCancelled {
		t.Errorf("%+v", s)
	}
	lines := r.audited()
	if last := lines[len(lines)-1]; last.Kind != "tuf:root cancelled" || last.Key != "" || last.Digest != "sha256:"+digest(root) || !strings.Contains(last.Caller, "the deadline "+until.Format(time.RFC3339)) {
		t.Errorf("%+v", last)
	}
	// A deadline that has passed is none.
	if _, err := r.srv.bootstrap(t.Context(), trust.BootstrapArgs{Root: root.Bytes(), Expiration: days, Bins: 2, Deadline: &until}); ipc.CodeOf(err) != ipc.BadRequest {
		t.Error(err)
	}
}

func TestD11_DistinctKeys(t *testing.T) {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	// The same point under a second key id, as a key object with a further member has one.
	var doc map[string]any
	if err := json.Unmarshal(root.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	signed := doc["signed"].(map[string]any)
	id := who(1).key(t).ID
	again := map[string]any{"x-name": "alias"}
	for k, v := range signed["keys"].(map[string]any)[id].(map[string]any) {
		again[k] = v
	}
	signed["keys"].(map[string]any)["alias"] = again
	role := signed["roles"].(map[string]any)["root"].(map[string]any)
	role["keyids"] = []string{id, "alias"}
	data, _ := json.Marshal(doc)
	contains(t, r.errored("POST", "bootstrap", `{"settings":`+settingsJSON(t)+`,"metadata":{"root":`+string(data)+`}}`), "Failed to verify the trust")
}

func settingsJSON(t *testing.T) string {
	r := newRig(t)
	data, err := json.Marshal(bootstrapBody(r.newRoot(rootSpec{signers: []byte{1}}), 2)["settings"])
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestD12_AuditAndEvents(t *testing.T) {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	r.ok("POST", "bootstrap", bootstrapBody(root, 2))
	r.ok("POST", "metadata/sign", r.signature("root", root, 2))
	var kinds []string
	for _, line := range r.audited() {
		kinds = append(kinds, line.Kind)
		if line.Digest == "" || line.Key == "" || line.Caller == "" || line.Time.IsZero() {
			t.Errorf("%+v", line)
		}
	}
	for _, want := range []string{"tuf:root accepted", "tuf:timestamp", "tuf:snapshot", "tuf:targets", "tuf:bins-0"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no line for %s in %v", want, kinds)
		}
	}
	var events []string
	ids := map[string]bool{}
	for _, e := range pendingState(r).Events {
		events, ids[e.ID] = append(events, e.Kind), true
		var decoded trust.Event
		if err := ipc.Unmarshal(e.Data, &decoded); err != nil || decoded.Digest == "" || decoded.Repository != "default" {
			t.Errorf("%+v, %v", decoded, err)
		}
	}
	if fmt.Sprint(events) != "[pending signed published published]" || len(ids) != len(events) {
		t.Errorf("%v, %v", events, ids)
	}
	for _, path := range []string{r.dirs.AuditLog()} {
		data, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(data), hex.EncodeToString(who(onlineOne).Seed())) {
			t.Error("something secret")
		}
	}
}

func TestExpiringIsTold(t *testing.T) {
	r, _ := begun(t, 2)
	told := func() (n int) {
		if err := r.srv.renewAll(t.Context(), caller{}); err != nil {
			t.Fatal(err)
		}
		for _, e := range pendingState(r).Events {
			if e.Kind == kindExpiring {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		days time.Duration
		want int
	}{{300, 0}, {40, 1}, {1, 1}, {12, 2}, {8, 3}, {3, 4}} {
		r.clock.pass(step.days * 24 * time.Hour)
		if got := told(); got != step.want {
			t.Errorf("after %d days more: %d warnings, want %d", step.days, got, step.want)
		}
	}
}

func TestFirstRootIsPublishedLater(t *testing.T) {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	r.ok("POST", "bootstrap", bootstrapBody(root, 2))
	if err := r.ring.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	contains(t, r.errored("POST", "metadata/sign", r.signature("root", root, 2)), "the signature is kept")
	contains(t, r.errored("POST", "artifacts/publish", nil), "no ssh-agent holds the online key")
	r.restart()
	r.hold(onlineOne)
	r.ok("POST", "artifacts/publish", nil)
	r.ok("POST", "artifacts", addBody("a"))
	r.accepts("a")
}

func TestTooLargeToSign(t *testing.T) {
	r := begunDelegated(t)
	var paths []string
	for i := range 2500 {
		paths = append(paths, fmt.Sprintf("online/%040d", i))
	}
	contains(t, r.errored("POST", "artifacts", addBody(paths...)), "an ssh-agent takes")
	r.accepts()
}

func TestWrongAgentIsNoHelp(t *testing.T) {
	r, _ := begun(t, 2)
	if err := r.ring.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	if err := r.ring.Add(agent.AddedKey{PrivateKey: who(55).PrivateKey}); err != nil {
		t.Fatal(err)
	}
	contains(t, r.errored("POST", "artifacts", addBody("a")), "no ssh-agent holds the online key")
	r.accepts()
}

// TestCureOfAnAbsentOnlineKey: what the hint says loads the key, whoever's it is and whichever profile is in use.
func TestCureOfAnAbsentOnlineKey(t *testing.T) {
	r, _ := begun(t, 2)
	if err := r.ring.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	cures := func(want string) {
		t.Helper()
		details, _ := r.do("POST", "artifacts", addBody("a"))["details"].(map[string]any)
		if got := details["hint"]; got != "add the key to your agent with "+want {
			t.Errorf("the hint is %v, want %s", got, want)
		}
	}
	cures("lnk key add FILE")
	profiles := []profile.Profile{{Name: "online", Peer: r.peer(onlineOne)}, {Name: "ann", Peer: r.peer(1)}}
	for i, want := range []string{"lnk key add", "lnk --profile online key add"} {
		if err := r.dirs.SaveProfile(profiles[i]); err != nil {
			t.Fatal(err)
		}
		cures(want)
	}
	profiles[0].AgentSocket, profiles[0].AgentOnly = r.agent, true
	if err := r.dirs.SaveProfile(profiles[0]); err != nil {
		t.Fatal(err)
	}
	r.hold(1)
	details, _ := r.do("POST", "artifacts", addBody("a"))["details"].(map[string]any)
	if got := details["hint"]; got != "lnk --profile online key add" {
		t.Errorf("of an agent that alone is to be used: %v", got)
	}
}
