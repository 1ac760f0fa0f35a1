package client

import (
	"encoding/hex"
	"fmt"
)

// keyCases are test_keys.py.
func keyCases() []conformance {
	cases := []conformance{
		{"test_snapshot_does_not_meet_threshold", func(w *world) {
			w.setThreshold("snapshot", 3)
			w.addKey("snapshot", newSigner("ecdsa", nil))
			w.addKey("snapshot", newSigner("ecdsa", nil))
			w.publish("root", "targets", "snapshot", "timestamp")
			w.begin()
			w.refresh(good)
			w.signers["snapshot"] = w.signers["snapshot"][:2]
			w.everything()
			w.refresh(bad)
			w.isAt("snapshot", 2)
		}},
		{"test_snapshot_has_too_few_keys", func(w *world) {
			w.begin()
			for range 4 {
				w.addKey("snapshot", newSigner("ecdsa", nil))
			}
			w.setThreshold("snapshot", 6)
			w.publish("root", "snapshot", "timestamp")
			w.refresh(bad)
			w.isAt("root", 2)
			w.isAt("snapshot", 0)
		}},
		{"test_duplicate_keys", func(w *world) {
			w.begin()
			k := newSigner("ecdsa", nil)
			for range 9 {
				w.nameKey("snapshot", k)
			}
			w.signers["snapshot"] = append(w.signers["snapshot"], k)
			w.setThreshold("snapshot", 6)
			w.publish("root", "snapshot", "timestamp")
			w.amend("snapshot", func(file doc) {
				list := file["signatures"].([]any)
				for range 8 {
					list = append(list, list[1])
				}
				file["signatures"] = list
			})
			w.refresh(bad)
			w.isAt("snapshot", 0)
		}},
		{"test_duplicate_sig_keyids", func(w *world) {
			w.begin()
			w.amend("snapshot", func(file doc) {
				list := file["signatures"].([]any)
				file["signatures"] = append(list, list[0])
			})
			w.refresh(bad)
			w.isAt("snapshot", 0)
		}},
		{"test_invalid_sig_in_valid_metadata", invalidBesideValid},
	}
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		scheme := newSigner(kind, nil).public["scheme"]
		cases = append(cases, conformance{fmt.Sprintf("test_keytype_and_scheme[%s/%s]", kind, scheme), func(w *world) { keyType(w, kind) }})
	}
	return cases
}

// invalidBesideValid: a signature that does not verify takes nothing from one that does.
func invalidBesideValid(w *world) {
	w.begin()
	first := w.signers["timestamp"][0]
	w.addKey("timestamp", newSigner("ecdsa", nil))
	w.publish("root", "timestamp")
	replace := func(text string) {
		w.amend("timestamp", func(file doc) {
			for _, s := range file["signatures"].([]any) {
				if s.(doc)["keyid"] == first.id {
					s.(doc)["sig"] = text
				}
			}
		})
	}
	replace(hex.EncodeToString(first.sign([]byte("other"))))
	w.refresh(good)
	w.publish("timestamp")
	replace("")
	w.refresh(good)
	w.isAt("timestamp", 3)
}

// keyType: a key of the type counts, and a wrong signature of the type does not.
func keyType(w *world, kind string) {
	w.begin()
	k := newSigner(kind, nil)
	w.addKey("root", k)
	w.setThreshold("root", 2)
	w.publish("root")
	w.refresh(good)
	w.isAt("root", 2)
	w.publish("root")
	w.amend("root", func(file doc) {
		file["signatures"].([]any)[1].(doc)["sig"] = hex.EncodeToString(k.sign([]byte("other")))
	})
	w.refresh(bad)
	w.isAt("root", 2)
}

// quotingCases are test_quoting_issues.py.
func quotingCases() (cases []conformance) {
	for name, quoted := range map[string]string{"?": "%3F 1", "#": "%23 1", "/delegatedrole": "%2Fdelegatedrole 1", "../delegatedrole": "..%2Fdelegatedrole 1"} {
		cases = append(cases, conformance{fmt.Sprintf("test_unusual_role_name[%s]", name), func(w *world) {
			w.delegate("targets", name, doc{"paths": []string{"*"}})
			w.publish(name, "targets", "snapshot", "timestamp")
			w.begin()
			w.download("nonexistent target", bad)
			w.askedLast(quoted)
			if got := w.held(); len(got) != 5 {
				w.t.Fatalf("trusted: %q", got)
			}
		}})
	}
	return cases
}
