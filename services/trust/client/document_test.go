package client

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/trust"
)

// readers are the parsers, by the role whose documents they read.
var readers = map[string]func([]byte) (*document, error){
	"root": func(data []byte) (*document, error) {
		r, err := parseRoot(data)
		if err != nil {
			return nil, err
		}
		return r.document, nil
	},
	"timestamp": func(data []byte) (*document, error) {
		r, err := parseTimestamp(data)
		if err != nil {
			return nil, err
		}
		return r.document, nil
	},
	"snapshot": func(data []byte) (*document, error) {
		r, err := parseSnapshot(data)
		if err != nil {
			return nil, err
		}
		return r.document, nil
	},
	"targets": func(data []byte) (*document, error) {
		r, err := parseTargets(data)
		if err != nil {
			return nil, err
		}
		return r.document, nil
	},
}

// many returns n members that are named after their numbers.
func many(n int, value any) doc {
	d := doc{}
	for i := range n {
		d[fmt.Sprint(i)] = value
	}
	return d
}

func TestParseRefuses(t *testing.T) {
	key := newSigner("ecdsa", nil)
	delegations := func(members doc) func(doc) {
		return func(s doc) {
			all := doc{"keys": doc{key.id: key.public}}
			for name, value := range members {
				all[name] = value
			}
			s["delegations"] = all
		}
	}
	named := func(name string, members doc) doc {
		d := doc{"name": name, "keyids": []string{key.id}, "threshold": 1, "terminating": false, "paths": []string{"*"}}
		for name, value := range members {
			if d[name] = value; value == nil {
				delete(d, name)
			}
		}
		return d
	}
	roles := func(list ...doc) func(doc) { return delegations(doc{"roles": list}) }
	bins := func(bits int, prefix string) func(doc) {
		return delegations(doc{"succinct_roles": doc{"keyids": []string{key.id}, "threshold": 1, "bit_length": bits, "name_prefix": prefix}})
	}
	for _, test := range []struct {
		why, role string
		change    func(signed doc)
	}{
		{"another type", "root", func(s doc) { s["_type"] = "Root" }},
		{"no type", "root", func(s doc) { delete(s, "_type") }},
		{"specification 2", "root", func(s doc) { s["spec_version"] = "2.0.0" }},
		{"specification 10", "root", func(s doc) { s["spec_version"] = "10.0" }},
		{"version 0", "root", func(s doc) { s["version"] = 0 }},
		{"version as text", "root", func(s doc) { s["version"] = "1" }},
		{"half a version", "root", func(s doc) { s["version"] = 1.5 }},
		{"no date", "root", func(s doc) { s["expires"] = nil }},
		{"bad date", "root", func(s doc) { s["expires"] = "tomorrow" }},
		{"no role", "root", func(s doc) { delete(s["roles"].(doc), "timestamp") }},
		{"null role", "root", func(s doc) { s["roles"].(doc)["timestamp"] = nil }},
		{"threshold 0", "root", func(s doc) { s["roles"].(doc)["root"].(doc)["threshold"] = 0 }},
		{"a key twice", "root", func(s doc) { s["roles"].(doc)["root"].(doc)["keyids"] = []string{"a", "a"} }},
		{"1025 keys", "root", func(s doc) { s["keys"] = many(maxEntries+1, doc{}) }},
		{"no snapshot", "timestamp", func(s doc) { s["meta"] = doc{} }},
		{"null snapshot", "timestamp", func(s doc) { s["meta"] = doc{"snapshot.json": nil} }},
		{"snapshot 0", "timestamp", func(s doc) { s["meta"] = doc{"snapshot.json": doc{"version": 0}} }},
		{"negative length", "timestamp", func(s doc) { s["meta"] = doc{"snapshot.json": doc{"version": 1, "length": -2}} }},
		{"huge length", "timestamp", func(s doc) { s["meta"] = doc{"snapshot.json": doc{"version": 1, "length": maxDeclared + 1}} }},
		{"hashes as a list", "timestamp", func(s doc) { s["meta"] = doc{"snapshot.json": doc{"version": 1, "hashes": []string{}}} }},
		{"no file name", "snapshot", func(s doc) { s["meta"] = doc{"targets": doc{"version": 1}} }},
		{"target without hashes", "targets", func(s doc) { s["targets"] = doc{"a": doc{"length": 1, "hashes": doc{}}} }},
		{"target of negative length", "targets", func(s doc) { s["targets"] = doc{"a": doc{"length": -1, "hashes": doc{"sha256": "00"}}} }},
		{"null target", "targets", func(s doc) { s["targets"] = doc{"a": nil} }},
		{"a role twice", "targets", roles(named("a", nil), named("a", nil))},
		{"a role without a name", "targets", roles(named("", nil))},
		{"a role called snapshot", "targets", roles(named("snapshot", nil))},
		{"a role without paths", "targets", roles(named("a", doc{"paths": nil}))},
		{"a role with both kinds of paths", "targets", roles(named("a", doc{"path_hash_prefixes": []string{"0"}}))},
		{"roles and bins", "targets", delegations(doc{"roles": []doc{}, "succinct_roles": doc{"keyids": []string{key.id}, "threshold": 1, "bit_length": 1, "name_prefix": "b"}})},
		{"0 bits", "targets", bins(0, "b")},
		{"33 bits", "targets", bins(maxBits+1, "b")},
		{"bins without a name", "targets", bins(1, "")},
	} {
		t.Run(test.why, func(t *testing.T) {
			s := newSim()
			if _, err := readers[test.role](s.published[test.role][0]); err != nil {
				t.Fatal(err)
			}
			var signed doc
			if err := json.Unmarshal(must(json.Marshal(s.docs[test.role])), &signed); err != nil {
				t.Fatal(err)
			}
			test.change(signed)
			if _, err := readers[test.role](must(json.Marshal(doc{"signatures": []doc{}, "signed": signed}))); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestParseRefusesFiles(t *testing.T) {
	signatures := make([]doc, maxEntries+1)
	for i := range signatures {
		signatures[i] = doc{"keyid": fmt.Sprint(i), "sig": ""}
	}
	signed := newSim().docs["targets"]
	if _, err := parseTargets(must(json.Marshal(doc{"signatures": signatures[1:], "signed": signed}))); err != nil {
		t.Error(err)
	}
	for _, data := range []string{
		"", "null", "[]", "{}", `{"signed":{}}`, `{"signatures":[],"signed":null}`, string(must(json.Marshal(doc{"signed": signed}))),
		string(must(json.Marshal(doc{"signatures": signatures, "signed": signed}))),
		string(must(json.Marshal(doc{"signatures": []any{nil}, "signed": signed}))),
		string(must(json.Marshal(doc{"signatures": []doc{{"keyid": "a"}}, "signed": signed}))),
	} {
		if _, err := parseTargets([]byte(data)); err == nil {
			t.Errorf("accepted: %.100s", data)
		}
	}
}

func TestUnusableKeys(t *testing.T) {
	big := rsa.PublicKey{N: must(rsa.GenerateKey(rand.Reader, 2048)).N, E: 65537}
	big.N.Lsh(big.N, maxModulus-2048+8).SetBit(big.N, 0, 1)
	ecdsaKey, rsaKey := newSigner("ecdsa", nil).public["keyval"], newSigner("rsa", nil).public["keyval"]
	for why, public := range map[string]doc{
		"empty":               {},
		"without a value":     {"keytype": "ed25519", "scheme": "ed25519"},
		"another scheme":      {"keytype": "rsa", "scheme": "rsa-pkcs1v15-sha256", "keyval": rsaKey},
		"no hexadecimal":      {"keytype": "ed25519", "scheme": "ed25519", "keyval": doc{"public": "xx"}},
		"too short":           {"keytype": "ed25519", "scheme": "ed25519", "keyval": doc{"public": "00"}},
		"no PEM":              {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": doc{"public": "00"}},
		"bad PEM":             {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": doc{"public": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}},
		"ECDSA for RSA":       {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": ecdsaKey},
		"RSA for ECDSA":       {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": rsaKey},
		"more than 8192 bits": {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": doc{"public": pemOf(&big)}},
	} {
		var o object
		if err := json.Unmarshal(must(json.Marshal(public)), &o); err != nil {
			t.Fatal(err)
		}
		k := readKey("id", o)
		if !strings.HasPrefix(k.holder, "unusable") || k.verify(nil, nil) == nil {
			t.Errorf("%s: can be used", why)
		}
	}
}

// FuzzDocuments: whatever a server sends, reading ends with a document or an error, and nothing that hangs on it panics.
func FuzzDocuments(f *testing.F) {
	s := newSim()
	s.sums = true
	s.addFile("targets", "a/b", "content", "sha256", "sha512")
	s.delegate("targets", "A", doc{"paths": []string{"a/[b-z]*"}})
	s.everything()
	for _, list := range s.published {
		f.Add(list[len(list)-1])
	}
	s.docs["targets"]["delegations"] = nil
	s.succinct("bins", 1)
	s.publish("targets")
	f.Add(s.published["targets"][2])
	f.Fuzz(func(t *testing.T, data []byte) {
		for kind, read := range readers {
			d, err := read(data)
			if err != nil {
				continue
			}
			if d.version < 1 || !bytes.Equal(d.data, data) || len(d.payload) == 0 {
				t.Errorf("%s: %+v", kind, d)
			}
			if json.Valid(d.payload) { // a canonical text may hold raw control characters
				again, err := trust.Canonical(d.payload)
				if err != nil || !bytes.Equal(again, d.payload) {
					t.Errorf("%s: what is signed has no one form: %v", kind, err)
				}
			}
		}
		if r, err := parseFirst(data); err == nil {
			_, _ = r.next(data)
		}
		if targets, err := parseTargets(data); err == nil {
			roles, last := targets.asked("a/b")
			if last && len(roles) == 0 {
				t.Error("nobody is the last")
			}
			for _, file := range targets.files {
				_, _ = hashes(file.Hashes).checker(file.Length)
			}
		}
	})
}

// FuzzKey: whatever a document calls a key can be asked about any signature.
func FuzzKey(f *testing.F) {
	sig := newSigner("ecdsa", nil).sign([]byte("message"))
	for _, kind := range []string{"ecdsa", "ed25519", "rsa"} {
		f.Add(must(json.Marshal(newSigner(kind, nil).public)), sig)
	}
	f.Fuzz(func(t *testing.T, data, sig []byte) {
		var o object
		if json.Unmarshal(data, &o) != nil {
			return
		}
		k := readKey("id", o)
		if k.holder == "" || k.verify == nil {
			t.Fatal("a key without a holder")
		}
		_ = k.verify([]byte("message"), sig)
	})
}

// FuzzEscape: names of files are plain, and two names never share one.
func FuzzEscape(f *testing.F) {
	for _, name := range []string{"", "a/b c", "../x", "%2F", "ü+~.-_", "\x00\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		plain := escape(name)
		if strings.Trim(plain, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%") != "" {
			t.Errorf("%q becomes %q", name, plain)
		}
		if back, err := url.PathUnescape(plain); err != nil || back != name {
			t.Errorf("%q becomes %q, which is %q (%v)", name, plain, back, err)
		}
		if back, err := url.PathUnescape(escapePath(name)); err != nil || back != name {
			t.Errorf("%q is the path %q, which is %q (%v)", name, escapePath(name), back, err)
		}
	})
}
