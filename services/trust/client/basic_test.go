package client

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// basicCases are test_basic.py.
func basicCases() []conformance {
	cases := []conformance{
		{"test_basic_refresh_requests", func(w *world) {
			w.begin()
			w.refresh(good)
			w.askedFor("root 2", "timestamp", "snapshot 1", "targets 1")
		}},
		{"test_basic_refresh_trusted_data", func(w *world) {
			w.begin()
			w.refresh(good)
			for _, role := range topLevelRoles {
				w.holds(role)
			}
		}},
		{"test_implicit_refresh", func(w *world) {
			w.begin()
			w.download("nonexistent artifact", bad)
			w.askedFor("root 2", "timestamp", "snapshot 1", "targets 1")
			for _, role := range topLevelRoles {
				w.holds(role)
			}
		}},
		{"test_invalid_initial_root", func(w *world) {
			w.amend("root", func(file doc) { delete(file["signed"].(doc), "version") })
			_ = w.who.init(w, w.published["root"][0]) // may fail, or not
			w.refresh(bad)
			w.askedFor()
		}},
		{"test_unsigned_initial_root", func(w *world) {
			w.amend("root", func(file doc) {
				file["signatures"].([]any)[0].(doc)["sig"] = hex.EncodeToString(newSigner("ecdsa", nil).sign([]byte("other")))
			})
			_ = w.who.init(w, w.published["root"][0])
			w.refresh(bad)
			w.askedFor()
		}},
		{"test_timestamp_content_changes", timestampContentChanges},
		{"test_basic_metadata_hash_support", metadataHashes},
		{"test_metadata_bytes_match", func(w *world) {
			w.begin()
			w.published["timestamp"][0] = append(w.published["timestamp"][0], ' ')
			w.refresh(good)
			w.holds("timestamp")
		}},
		{"test_custom_fields", func(w *world) {
			w.begin()
			w.refresh(good)
			w.docs["root"]["custom-field"] = "value"
			w.addKey("root", newSigner("ecdsa", doc{"extra-field": doc{"a": 1, "b": 2}}))
			w.in("root", "roles", "root")["another-field"] = "value"
			w.publish("root")
			w.refresh(good)
			w.isAt("root", 2)
		}},
		{"test_deprecated_keyid_hash_algorithms", func(w *world) {
			w.begin()
			w.setKeys("snapshot", 1, nil, nil)
			w.addKey("snapshot", newSigner("ecdsa", doc{"keyid_hash_algorithms": "md5"}))
			w.publish("root", "snapshot", "timestamp")
			w.refresh(good)
			w.trusts("root 2, snapshot 2, targets 1, timestamp 2")
		}},
		{"test_incorrect_metadata_type", func(w *world) {
			w.begin()
			w.addKey("snapshot", w.signers["timestamp"][0])
			w.docs["snapshot"]["meta"] = doc{"snapshot.json": doc{"version": 1}}
			w.publish("root", "snapshot")
			w.published["timestamp"] = append(w.published["timestamp"], w.published["snapshot"][1])
			w.refresh(bad)
			w.trusts("root 2")
		}},
		{"test_faketime", func(w *world) {
			w.begin()
			w.docs["root"]["expires"] = inDays(7)
			w.publish("root")
			w.refresh(good)
			w.refreshAt(8, bad)
		}},
	}
	return append(cases, append(missingCases(), mismatchCases()...)...)
}

// timestampContentChanges: the same version again with other content changes nothing.
func timestampContentChanges(w *world) {
	w.begin()
	w.refresh(good)
	before, err := os.ReadFile(filepath.Join(w.dir, "timestamp.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.restart("timestamp")
	w.in("timestamp", "meta", "snapshot.json")["version"] = 100
	w.publish("timestamp")
	w.refresh(good)
	w.askedLast("timestamp")
	after, err := os.ReadFile(filepath.Join(w.dir, "timestamp.json"))
	if err != nil || string(after) != string(before) {
		w.t.Fatalf("timestamp has changed: %s (%v)", after, err)
	}
}

func metadataHashes(w *world) {
	w.sums = true
	w.everything()
	w.begin()
	w.refresh(good)
	w.publish("targets")
	w.in("snapshot", "meta", "targets.json", "hashes")["sha256"] = sumOf("sha256", "other")
	w.publish("snapshot", "timestamp")
	w.refresh(bad)
	w.trusts("root 1, snapshot 3, targets 2, timestamp 3")
}

// missingCases: a document is not there, or not signed by enough.
func missingCases() (cases []conformance) {
	cases = []conformance{
		{"test_snapshot_404", func(w *world) {
			w.begin()
			w.refresh(good)
			w.in("timestamp", "meta", "snapshot.json")["version"] = 2
			w.publish("timestamp")
			w.refresh(bad)
			w.askedLast("snapshot 2")
			w.trusts("root 1, snapshot 1, targets 1, timestamp 2")
		}},
		{"test_targets_404", func(w *world) {
			w.begin()
			w.refresh(good)
			w.in("snapshot", "meta", "targets.json")["version"] = 2
			w.publish("snapshot", "timestamp")
			w.refresh(bad)
			w.askedLast("targets 2")
			w.trusts("root 1, snapshot 2, targets 1, timestamp 2")
		}},
		{"test_timestamp_404", func(w *world) {
			w.begin()
			w.refresh(good)
			delete(w.published, "timestamp")
			w.refresh(bad)
			w.askedLast("timestamp")
		}},
	}
	for role, trusted := range map[string]string{
		"root": "root 1", "timestamp": "root 2", "snapshot": "root 2, timestamp 2", "targets": "root 2, snapshot 2, timestamp 2",
	} {
		cases = append(cases, conformance{fmt.Sprintf("test_unsigned_metadata[%s]", role), func(w *world) {
			w.signers[role] = nil
			w.publish("root", "targets", "snapshot", "timestamp")
			w.begin()
			w.refresh(bad)
			w.trusts(trusted)
		}})
	}
	return cases
}

// mismatchCases: a document has another version than its file name says.
func mismatchCases() (cases []conformance) {
	for role, trusted := range map[string]string{
		"root": "root 1", "snapshot": "root 2, timestamp 2", "targets": "root 2, snapshot 2, timestamp 2",
	} {
		cases = append(cases, conformance{fmt.Sprintf("test_url_and_metadata_version_mismatch[%s]", role), func(w *world) {
			w.docs[role]["version"] = int64(2)
			w.publish("root", "targets", "snapshot", "timestamp")
			w.begin()
			w.refresh(bad)
			w.trusts(trusted)
		}})
	}
	return cases
}
