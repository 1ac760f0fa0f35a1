package client

// expirationCases are test_expiration.py and test_delegated_expiration.py.
func expirationCases() []conformance {
	return append([]conformance{
		{"test_root_expired", func(w *world) {
			w.begin()
			w.refresh(good)
			w.publish("root")
			w.refresh(good)
			w.docs["root"]["expires"] = inDays(-1)
			w.publish("root")
			w.refresh(bad)
			w.trusts("root 3, snapshot 1, targets 1, timestamp 1")
		}},
		{"test_timestamp_expired", func(w *world) {
			w.begin()
			w.refresh(good)
			w.docs["timestamp"]["expires"] = inDays(-5)
			w.publish("timestamp")
			w.refresh(bad)
			w.trusts("root 1, snapshot 1, targets 1, timestamp 1")
		}},
		{"test_snapshot_expired", func(w *world) {
			w.begin()
			w.refresh(good)
			w.docs["snapshot"]["expires"] = inDays(-5)
			w.publish("snapshot", "timestamp")
			w.refresh(bad)
			w.trusts("root 1, snapshot 1, targets 1, timestamp 2")
		}},
		{"test_targets_expired", func(w *world) {
			w.begin()
			w.refresh(good)
			w.docs["targets"]["expires"] = inDays(-5)
			w.everything()
			w.refresh(bad)
			w.trusts("root 1, snapshot 2, targets 1, timestamp 2")
		}},
		{"test_expired_local_root", func(w *world) {
			w.begin()
			w.docs["root"]["expires"] = inDays(7)
			w.publish("root")
			w.refresh(good)
			w.docs["root"]["expires"] = inDays(21)
			w.publish("root")
			w.refreshAt(18, good)
			w.isAt("root", 3)
		}},
		{"test_expired_local_timestamp", func(w *world) { expiredLocal(w, "timestamp") }},
		{"test_expired_local_snapshot", func(w *world) { expiredLocal(w, "snapshot") }},
		{"test_expired_local_targets", func(w *world) { expiredLocal(w, "targets") }},
	}, delegatedExpirationCases()...)
}

// expiredLocal: what the client has of a role expires, and there is a new version.
func expiredLocal(w *world, role string) {
	w.begin()
	w.docs[role]["expires"] = inDays(7)
	w.everything()
	w.refresh(good)
	w.docs[role]["expires"] = inDays(21)
	w.everything()
	w.refreshAt(18, good)
	w.trusts("root 1, snapshot 3, targets 3, timestamp 3")
}

func delegatedExpirationCases() []conformance {
	begin := func(w *world, days int) {
		w.begin()
		w.delegate("targets", "delegated", doc{"paths": []string{"delegatedpath/*"}})
		w.docs["delegated"]["expires"] = inDays(days)
		w.addFile("delegated", "delegatedpath/first", "first")
		w.addFile("delegated", "delegatedpath/second", "second")
		w.publish("delegated", "targets", "snapshot", "timestamp")
	}
	return []conformance{
		{"test_delegated_targets_expired", func(w *world) {
			begin(w, -1)
			w.refresh(good)
			w.download("delegatedpath/first", bad)
			w.downloaded()
			w.trusts("root 1, snapshot 2, targets 2, timestamp 2")
		}},
		{"test_expired_local_delegated_targets", func(w *world) {
			begin(w, 7)
			w.download("delegatedpath/first", good)
			w.downloadAt(18, "delegatedpath/second", bad)
			w.downloaded("first")
		}},
		{"test_expired_local_delegated_targets_updates", func(w *world) {
			begin(w, 7)
			w.download("delegatedpath/first", good)
			w.docs["delegated"]["expires"] = inDays(21)
			w.publish("delegated", "snapshot", "timestamp")
			w.downloadAt(18, "delegatedpath/second", good)
			w.downloaded("first", "second")
		}},
	}
}
