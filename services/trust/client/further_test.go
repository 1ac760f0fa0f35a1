package client

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFurther goes where the conformance suite does not. An unmodified go-tuf judges the cases that are not of our own rules.
func TestFurther(t *testing.T) {
	for _, c := range furtherCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newWorld(t, ours{}))
		})
		t.Run("judge/"+c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newWorld(t, judge{}))
		})
	}
	for _, c := range ownCases() {
		t.Run("own/"+c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newWorld(t, ours{}))
		})
	}
}

func furtherCases() []conformance {
	return append([]conformance{
		{"file names without versions and hashes", func(w *world) {
			w.docs["root"]["consistent_snapshot"] = false
			w.publish("root")
			w.begin()
			w.addFile("targets", "a/b", "content")
			for _, name := range []string{"role1", "..", "."} {
				w.delegate("targets", name, doc{"paths": []string{"*"}})
				w.publish(name)
			}
			w.everything()
			w.download("a/b", good)
			w.downloaded("content")
			w.download("missing", bad)
			w.askedLast(".")
			if len(w.held()) != 7 {
				w.t.Fatalf("trusted: %q", w.held())
			}
		}},
		{"succinct hash bins", func(w *world) {
			w.succinct("bin", 5)
			w.begin()
			w.addFile("bin-06", "file7", "seven") // SHA-256 begins with 30, or 00110
			w.publish("bin-06")
			w.everything()
			w.download("file7", good)
			w.downloaded("seven")
			w.askedFor("root 2", "timestamp", "snapshot 2", "targets 2", "bin-06 2")
			w.download("file8", bad) // begins with cf, or 11001
			w.askedLast("bin-19 1")
		}},
		{"one key under two names", func(w *world) {
			k := newSigner("ecdsa", nil)
			again := k
			again.id = strings.Repeat("ab", 32)
			w.setKeys("timestamp", 2, []simSigner{k, again}, []simSigner{k, again})
			w.publish("root", "timestamp")
			w.begin()
			w.refresh(bad)
			w.trusts("root 2")
		}},
		{"a role is gone from the snapshot", func(w *world) {
			w.delegate("targets", "A", doc{"paths": []string{"*"}})
			w.publish("A", "targets", "snapshot", "timestamp")
			w.begin()
			w.refresh(good)
			delete(w.in("snapshot", "meta"), "A.json")
			w.publish("snapshot", "timestamp")
			w.refresh(bad)
			w.trusts("root 1, snapshot 2, targets 2, timestamp 3")
		}},
	}, limitCases()...)
}

// ownCases are of rules in which we differ from other clients, or of what they cannot do.
func ownCases() []conformance {
	return []conformance{
		{"a key of an unknown type", func(w *world) {
			odd := newSigner("ed25519", nil)
			odd.public["keytype"] = "mldsa"
			odd.public["scheme"] = "mldsa-65"
			w.nameKey("root", odd)
			w.publish("root")
			w.begin()
			w.refresh(good)
			w.setThreshold("root", 2)
			w.signers["root"] = append(w.signers["root"], odd)
			w.publish("root")
			w.refresh(bad)
			w.isAt("root", 2)
		}},
		{"a key of small order", func(w *world) {
			// The neutral point: the signature of itself and zero is valid for every message under ZIP-215.
			weak := newSigner("ed25519", nil)
			weak.public["keyval"] = doc{"public": "01" + strings.Repeat("00", 31)}
			weak.sign = func([]byte) []byte { return append([]byte{1}, make([]byte, 63)...) }
			w.setKeys("timestamp", 1, []simSigner{weak}, []simSigner{weak})
			w.publish("root", "timestamp")
			w.begin()
			w.refresh(bad)
			w.trusts("root 2")
		}},
		{"two who delegate to one role with different keys", func(w *world) {
			w.begin()
			w.delegate("targets", "A", doc{"paths": []string{"*"}})
			w.delegate("targets", "B", doc{"paths": []string{"b/*"}})
			w.delegate("A", "C", doc{"paths": []string{"*"}})
			w.delegate("B", "C", doc{"paths": []string{"b/*"}})
			w.signers["C"] = w.signers["C"][:1] // the key that A names, not that of B
			w.addFile("C", "x", "by A")
			w.addFile("C", "b/y", "by nobody")
			w.publish("A", "B", "C", "targets", "snapshot", "timestamp")
			w.download("x", good)
			w.download("b/y", bad)
			w.downloaded("by A")
			report := w.survey()
			if len(report.Faults) != 1 || report.Targets != 1 || !strings.Contains(report.Faults[0].Error(), "0 of 1 signatures") {
				w.t.Fatalf("%+v", report)
			}
		}},
		{"a name that climbs", func(w *world) {
			w.addFile("targets", "../../up", "content")
			w.everything()
			w.begin()
			w.download("../../up", good)
			if _, err := os.Stat(filepath.Join(w.dir, "..%2F..%2Fup")); err == nil {
				w.t.Error("among the metadata")
			}
			w.downloaded("content")
		}},
		{"a hash that only we know", func(w *world) {
			w.addFile("targets", "a", "content", "blake2b-256", "unknown-hash")
			w.everything()
			w.begin()
			w.download("a", good)
			w.downloaded("content")
		}},
		{"a member is given twice", func(w *world) {
			w.begin()
			list := w.published["targets"]
			list[0] = bytes.Replace(list[0], []byte(`"signed": {`), []byte(`"signed": {"version": 1, "version": 2, `), 1)
			w.refresh(bad)
			w.trusts("root 1, snapshot 1, timestamp 1")
		}},
		// go-tuf compares them with the base64 form of the hash.
		{"prefixes of path hashes", func(w *world) {
			w.delegate("targets", "low", doc{"path_hash_prefixes": []string{"0", "1", "2", "3", "4", "5", "6", "7"}})
			w.delegate("targets", "high", doc{"path_hash_prefixes": []string{"8", "9", "a", "b", "c", "d", "e", "f"}})
			w.addFile("low", "file7", "seven")
			w.publish("low", "high", "targets", "snapshot", "timestamp")
			w.begin()
			w.download("file7", good)
			w.askedBelow("low")
			w.download("file8", bad)
			w.askedLast("high 1")
		}},
		{"a member in another case", func(w *world) {
			w.begin()
			w.docs["timestamp"]["Version"] = 9
			w.docs["timestamp"]["EXPIRES"] = inDays(-1)
			w.publish("timestamp")
			w.refresh(good)
			w.isAt("timestamp", 2)
		}},
		{"rotated keys make us forget both", func(w *world) {
			w.begin()
			w.publish("snapshot")
			w.publish("timestamp")
			w.refresh(good)
			w.rotate("timestamp")
			w.restart("snapshot")
			w.publish("root", "snapshot", "timestamp")
			w.refresh(good)
			w.trusts("root 2, snapshot 1, targets 1, timestamp 3")
		}},
		{"another first root", func(w *world) {
			w.begin()
			w.begin()
			w.publish("root")
			if err := w.who.init(w, w.published["root"][1]); err == nil {
				w.t.Fatal("the client has forgotten its root")
			}
			w.isAt("root", 1)
		}},
	}
}

// limitCases reach every limit.
func limitCases() []conformance {
	pad := func(w *world, role string, size int) {
		list := w.published[role]
		last := list[len(list)-1]
		list[len(list)-1] = append(last, bytes.Repeat([]byte{' '}, size-len(last))...)
	}
	cases := []conformance{
		{"256 versions of root", func(w *world) {
			w.begin()
			for range 259 {
				w.publish("root")
			}
			w.refresh(good)
			w.isAt("root", 257)
			w.refresh(good)
			w.isAt("root", 260)
		}},
		{"32 roles are asked", func(w *world) {
			w.begin()
			by := "targets"
			for i := range 40 {
				name := fmt.Sprintf("r%02d", i)
				w.delegate(by, name, doc{"paths": []string{"*"}})
				by = name
			}
			w.addFile("r31", "near", "near")
			w.addFile("r32", "far", "far")
			for i := range 40 {
				w.publish(fmt.Sprintf("r%02d", i))
			}
			w.everything()
			w.download("near", good)
			w.download("far", bad)
			w.downloaded("near")
		}},
		{"a length that metadata gives", func(w *world) {
			w.docs["targets"]["x-padding"] = strings.Repeat("x", 5_100_000)
			w.sums = true
			w.everything()
			w.begin()
			w.refresh(good)
			w.in("snapshot", "meta", "targets.json")["length"] = 5_000_000
			w.publish("snapshot", "timestamp")
			w.publish("targets") // so that it is not the one that is held
			w.in("snapshot", "meta", "targets.json")["length"] = 5_000_000
			w.publish("snapshot", "timestamp")
			w.refresh(bad)
		}},
	}
	for role, limit := range map[string]int{"root": 512_000, "timestamp": 16_384, "snapshot": 2_000_000, "targets": 5_000_000} {
		cases = append(cases, conformance{fmt.Sprintf("%s of %d bytes", role, limit), func(w *world) {
			w.begin()
			w.publish("root", "targets", "snapshot", "timestamp")
			pad(w, role, limit)
			w.refresh(good)
			w.publish("root", "targets", "snapshot", "timestamp")
			pad(w, role, limit+1)
			w.refresh(bad)
			w.isAt(role, 2)
		}})
	}
	return cases
}
