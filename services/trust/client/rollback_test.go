package client

import "fmt"

// rollbackCases are test_rollback.py.
func rollbackCases() []conformance {
	cases := []conformance{
		{"test_new_timestamp_version_rollback", func(w *world) {
			w.begin()
			w.publish("timestamp")
			w.refresh(good)
			w.isAt("timestamp", 2)
			w.restart("timestamp")
			w.publish("timestamp")
			w.refresh(bad)
			w.isAt("timestamp", 2)
			w.askedLast("timestamp")
		}},
		{"test_new_targets_fast_forward_recovery", func(w *world) {
			w.begin()
			for range 99 {
				w.publish("targets")
			}
			w.publish("snapshot", "timestamp")
			w.refresh(good)
			w.isAt("targets", 100)
			w.rotate("snapshot")
			w.restart("targets")
			w.publish("root", "targets", "snapshot", "timestamp")
			w.refresh(good)
			w.isAt("targets", 1)
		}},
		{"test_new_snapshot_fast_forward_recovery", func(w *world) {
			w.begin()
			for range 99 {
				w.publish("snapshot")
			}
			w.publish("timestamp")
			w.refresh(good)
			w.isAt("snapshot", 100)
			w.rotate("snapshot")
			w.rotate("timestamp")
			w.restart("snapshot")
			w.publish("root", "targets", "snapshot", "timestamp")
			w.refresh(good)
			w.isAt("snapshot", 1)
		}},
		{"test_new_timestamp_fast_forward_recovery", func(w *world) {
			w.begin()
			for range 99 {
				w.publish("timestamp")
			}
			w.refresh(good)
			w.isAt("timestamp", 100)
			w.rotate("timestamp")
			w.restart("timestamp")
			w.publish("root", "timestamp")
			w.refresh(good)
			w.isAt("timestamp", 1)
		}},
	}
	for _, sums := range []bool{false, true} {
		id := map[bool]string{false: "basic", true: "with hashes"}[sums]
		cases = append(cases,
			conformance{fmt.Sprintf("test_snapshot_rollback[%s]", id), func(w *world) {
				w.begin()
				w.sums = sums
				w.publish("snapshot", "timestamp")
				w.refresh(good)
				w.restart("snapshot")
				w.publish("snapshot", "timestamp")
				w.refresh(bad)
				w.trusts("root 1, snapshot 2, targets 1, timestamp 2")
				w.askedLast("timestamp")
			}},
			conformance{fmt.Sprintf("test_targets_rollback[%s]", id), func(w *world) {
				w.begin()
				w.sums = sums
				w.everything()
				w.refresh(good)
				w.restart("targets")
				w.everything()
				w.refresh(bad)
				w.trusts("root 1, snapshot 2, targets 2, timestamp 3")
			}})
	}
	return cases
}
