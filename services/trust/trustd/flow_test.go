package trustd

import (
	"fmt"
	"testing"
)

// TestFlows walks through the flows of the API (trust.md section 2.1), with an unmodified go-tuf as client after each.
func TestFlows(t *testing.T) {
	r := newRig(t)
	if a := r.http("GET", "/api/v1/bootstrap", nil); a.status != 200 || a.at("message") != "System available for bootstrap." || a.at("data", "bootstrap") != false {
		t.Fatal(a)
	}
	unsigned := r.newRoot(rootSpec{signers: []byte{1, 2, 3}, threshold: 2})
	root := r.signed(unsigned, nil, 1)
	got := r.ok("POST", "bootstrap/", bootstrapBody(root, 4))
	if got["task"] != "bootstrap" || got["message"] != "Bootstrap Processed" || got["details"].(map[string]any)["bootstrap"] != "Root v1 is pending signature" {
		t.Error(got)
	}
	if a := r.http("GET", "/api/v1/bootstrap/", nil); a.at("data", "state") != "signing" || a.at("message") != "System LOCKED for bootstrap." {
		t.Error(a)
	}
	a := r.http("GET", "/api/v1/metadata/sign/", nil)
	if a.status != 200 || a.at("message") != "Metadata role(s) pending signing" || a.at("data", "metadata", "root", "signed", "version") != 1.0 || a.at("data", "metadata", "trusted_root") != nil {
		t.Error(a)
	}
	r.restart()
	got = r.ok("POST", "metadata/sign/", r.signature("root", root, 3))
	if got["message"] != "Signature Processed" || got["details"].(map[string]any)["bootstrap"] != "Bootstrap Finished" {
		t.Error(got)
	}
	r.accepts()
	r.ok("POST", "artifacts/", addBody("a/one", "two", "drei.tar.gz"))
	r.accepts("a/one", "two", "drei.tar.gz")
	r.restart()
	got = r.ok("POST", "artifacts/delete", map[string]any{"artifacts": []string{"two", "none"}})
	if fmt.Sprint(got["details"]) != "map[deleted_artifacts:[two] not_found_artifacts:[none]]" {
		t.Error(got)
	}
	r.accepts("a/one")

	first := r.rootNow()
	second := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 4, 5}, threshold: 2}), first, 1)
	got = r.ok("POST", "metadata/", rootBody(second))
	if got["message"] != "Metadata Update Processed" || got["details"].(map[string]any)["update"] != "Root v2 is pending signatures" {
		t.Error(got)
	}
	if a := r.http("GET", "/api/v1/metadata/sign", nil); a.at("data", "metadata", "trusted_root", "signed", "version") != 1.0 {
		t.Error(a)
	}
	got = r.ok("POST", "metadata/sign", r.signature("root", second, 4))
	if got["details"].(map[string]any)["update"] != "Root v2 is pending signatures" {
		t.Error(got)
	}
	got = r.ok("POST", "metadata/sign", r.signature("root", second, 2))
	if got["details"].(map[string]any)["update"] != "Metadata update finished" {
		t.Error(got)
	}
	r.accepts("a/one")
	if a := r.http("GET", "/metadata/2.root.json", nil); a.status != 200 {
		t.Error(a)
	}
}
