package trustd

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/trust"
)

// rstuf does what the released command line of Repository Service for TUF (1.0.0b1) does: it makes the same requests, with
// bodies of the same form, and checks of the answers what that checks. The requests were recorded from it.
type rstuf struct {
	*rig
}

// send is its send_payload and task_status: the status, the message and the id of the answer, then the task, which must be
// there and end well.
func (c rstuf) send(path, message, body string) string {
	c.t.Helper()
	a := c.http("POST", "/api/v1/"+path, body, "Content-Type", "application/json", "Accept", "*/*", "User-Agent", "python-requests/2.34.2")
	id, _ := a.at("data", "task_id").(string)
	if a.status != 202 || a.at("message") != message || id == "" {
		c.t.Fatalf("POST %s: %d %s, want %q", path, a.status, a.text, message)
	}
	c.task(id)
	return id
}

func (c rstuf) task(id string) {
	c.t.Helper()
	a := c.http("GET", "/api/v1/task/?task_id="+id, nil)
	if a.status != 200 || a.at("data", "state") != "SUCCESS" || a.at("data", "result", "status") != true {
		c.t.Fatalf("task %s: %d %s", id, a.status, a.text)
	}
}

// rstufKey is a key as it writes one: with a name inside, and an id that does not cover it.
func (c rstuf) key(n byte, name string) (id, object string) {
	k := who(n).key(c.t)
	return k.ID, `{"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "` + hex.EncodeToString(k.Public) + `"}, "x-rstuf-key-name": "` + name + `"}`
}

// root writes a root as it does, for ann, ben and eve: the persons 1 to 3, or others of the same names.
func (c rstuf) root(version, expires string, ann, ben, eve byte) string {
	var keys, ids []string
	for i, n := range []byte{ann, ben, eve} {
		id, object := c.key(n, []string{"ann", "ben", "eve"}[i])
		keys, ids = append(keys, `"`+id+`": `+object), append(ids, `"`+id+`"`)
	}
	id, object := c.key(onlineOne, "online")
	object = strings.TrimSuffix(object, "}") + `, "x-rstuf-online-key-uri": "fn:` + id + `"}`
	online := `{"keyids": ["` + id + `"], "threshold": 1}`
	return `{"_type": "root", "version": ` + version + `, "spec_version": "1.0.31", "expires": "` + expires + `", "consistent_snapshot": true, "keys": {` +
		strings.Join(keys, ", ") + `, "` + id + `": ` + object + `}, "roles": {"root": {"keyids": [` + strings.Join(ids, ", ") +
		`], "threshold": 2}, "snapshot": ` + online + `, "timestamp": ` + online + `, "targets": ` + online + `}}`
}

// document is the metadata with the signature of each person, in the form and order in which it writes them.
func (c rstuf) document(signed string, who_ ...byte) string {
	c.t.Helper()
	doc, err := trust.ParseRoot([]byte(`{"signatures": [], "signed": ` + signed + `}`))
	if err != nil {
		c.t.Fatal(err)
	}
	var list []string
	for _, n := range who_ {
		list = append(list, c.signatureOf(doc, n))
	}
	return `{"signatures": [` + strings.Join(list, ", ") + `], "signed": ` + signed + `}`
}

func (c rstuf) signatureOf(doc trust.Document, n byte) string {
	sig, _ := who(n).Sign(c.t.Context(), doc.Payload())
	return `{"keyid": "` + who(n).key(c.t).ID + `", "sig": "` + hex.EncodeToString(sig) + `"}`
}

func (c rstuf) ceremony(root, below string) {
	c.t.Helper()
	c.send("bootstrap/", "Bootstrap accepted.", `{"settings": {"roles": {"root": {"expiration": 365}, "timestamp": {"expiration": 1}, "snapshot": {"expiration": 1}, `+
		`"targets": {"expiration": 365}, `+below+`}}, "metadata": {"root": `+root+`}, "timeout": 300}`)
}

// pending is what metadata sign reads: the documents that wait, each of a kind that it knows, and what they are verified
// against beside them.
func (c rstuf) pending(role string) (doc trust.Document, all map[string]json.RawMessage) {
	c.t.Helper()
	a := c.http("GET", "/api/v1/metadata/sign/", nil)
	var answer struct {
		Data struct {
			Metadata map[string]json.RawMessage `json:"metadata"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(a.text), &answer); a.status != 200 || err != nil {
		c.t.Fatalf("%d %s", a.status, a.text)
	}
	for name := range answer.Data.Metadata {
		kind := a.at("data", "metadata", name, "signed", "_type")
		if !strings.HasPrefix(name, "trusted_") && kind != "root" && kind != "targets" {
			c.t.Errorf("%s is of type %v", name, kind)
		}
	}
	doc, err := parseDraft(role, answer.Data.Metadata[role])
	if err != nil {
		c.t.Fatalf("%v: %s", err, a.text)
	}
	return doc, answer.Data.Metadata
}

// sign is metadata sign, once more for every person.
func (c rstuf) sign(role string, who_ ...byte) {
	c.t.Helper()
	for _, n := range who_ {
		doc, all := c.pending(role)
		if doc.Version() > 1 && role == trust.RoleRoot {
			if _, err := trust.ParseRoot(all["trusted_root"]); err != nil {
				c.t.Fatalf("previous root needed to sign root v%d: %v", doc.Version(), err)
			}
		}
		if role != trust.RoleRoot {
			top, err := trust.ParseTargets(all["trusted_targets"])
			if err != nil {
				c.t.Fatal(err)
			}
			if _, known := top.Delegated(role); !known {
				c.t.Fatalf("trusted_targets delegate nothing to %s", role)
			}
		}
		c.send("metadata/sign/", "Metadata sign accepted.", `{"signature": `+c.signatureOf(doc, n)+`, "role": "`+role+`"}`)
	}
}

// stop is metadata stop-sign.
func (c rstuf) stop(role string) {
	c.t.Helper()
	c.pending(role)
	c.send("metadata/sign/delete", "Metadata sign delete accepted.", `{"role": "`+role+`"}`)
}

// addArtifact is artifact add, with a look at the task: its file is hashed by BLAKE2b alone and has no custom data.
func (c rstuf) addArtifact(path string) {
	c.t.Helper()
	c.send("artifacts/", "New Artifact(s) successfully submitted.", `{"artifacts": [{"info": {"length": 3, "hashes": {"blake2b-256": "`+fooSum+
		`"}, "custom": null}, "path": "`+path+`"}], "add_task_id_to_custom": false, "publish_artifacts": true}`)
}

// TestReleasedCommandLine: ceremony, stop-sign, sign before and after the bootstrap, update, artifacts.
func TestReleasedCommandLine(t *testing.T) {
	c := rstuf{newRig(t)}
	year := c.clock.Now().AddDate(1, 0, 0).Format("2006-01-02T15:04:05Z")
	const bins = `"bins": {"expiration": 1, "number_of_delegated_bins": 4}, "delegations": null`
	first := c.root("1", year, 1, 2, 3)
	c.ceremony(c.document(first, 1), bins)
	c.stop("root")
	c.ceremony(c.document(first, 1), bins)
	c.sign("root", 2)
	c.accepts()
	c.send("metadata/", "Metadata update accepted.", `{"metadata": {"root": `+c.document(c.root("2", year, 1, 2, 4), 1)+`}}`)
	c.stop("root")
	c.send("metadata/", "Metadata update accepted.", `{"metadata": {"root": `+c.document(c.root("2", year, 1, 2, 5), 1)+`}}`)
	c.sign("root", 2)
	if got := c.rootNow().Version(); got != 2 {
		t.Errorf("root has version %d", got)
	}
	c.addArtifact("drive.py")
	c.addArtifact("some/dir/keys.py")
	c.accepts("drive.py", "some/dir/keys.py")
	c.send("artifacts/delete", "Remove Artifact(s) successfully submitted.", `{"artifacts": ["drive.py"]}`)
	c.accepts("some/dir/keys.py")
	if a := c.http("GET", "/api/v1/metadata/sign/", nil); a.status != 200 || a.body["data"] != nil || strings.Contains(a.text, `"data"`) {
		t.Errorf("nothing waits: %s", a.text)
	}
}

// TestReleasedCommandLineDelegates: a ceremony with delegations to people and to the online key, and what comes after.
// The release compares the answer to "delegations new" with another text than its service gives: the delegation is made,
// and the program says that it failed, here as there.
func TestReleasedCommandLineDelegates(t *testing.T) {
	c := rstuf{newRig(t)}
	year := c.clock.Now().AddDate(1, 0, 0).Format("2006-01-02T15:04:05Z")
	role := func(name, ids, threshold string) string {
		return `{"name": "` + name + `", "terminating": true, "keyids": [` + ids + `], "threshold": ` + threshold + `, "x-rstuf-expire-policy": 30, "paths": ["` + name + `/*"]}`
	}
	a, keyA := c.key(7, "dev1")
	b, keyB := c.key(8, "dev2")
	keys, ids := `{"`+a+`": `+keyA+`, "`+b+`": `+keyB+`}`, `"`+a+`", "`+b+`"`
	c.ceremony(c.document(c.root("1", year, 1, 2, 3), 1, 2), `"bins": null, "delegations": {"keys": `+keys+`, "roles": [`+role("pub", "", "1")+`, `+role("dev", ids, "2")+`]}`)
	c.accepts()
	if shown, err := c.srv.show(t.Context(), trust.RoleArgs{Role: "dev"}); err != nil || shown.Pending.Signers[0].Name != "dev1" || shown.Leaves.Names[c.peer(8)] != "dev2" {
		t.Errorf("names are lost: %+v, %v", shown, err)
	}
	c.sign("dev", 7, 8)
	c.send("delegations/", "Metadata delegation add accepted.", `{"delegations": {"keys": {}, "roles": [`+role("extra", "", "1")+`]}}`)
	c.send("delegations/", "Metadata delegation add accepted.", `{"delegations": {"keys": `+keys+`, "roles": [`+role("pair", ids, "2")+`, `+role("two", ids, "2")+`]}}`)
	c.sign("two", 7, 8)
	c.sign("pair", 7)
	c.stop("pair")
	c.send("delegations/delete", "Metadata delegation delete accepted.", `{"delegations": {"roles": [{"name": "pub"}]}}`)
	c.addArtifact("dev/keys.py")
	c.addArtifact("extra/keys.py")
	c.accepts("extra/keys.py")
	c.sign("dev", 8, 7)
	c.accepts("extra/keys.py", "dev/keys.py")
}
