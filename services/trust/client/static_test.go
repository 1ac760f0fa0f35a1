package client

// staticCases stand for test_static_repositories.py, whose repositories are other people's: these have what is particular to them.
func staticCases() []conformance {
	return []conformance{
		// Keys that carry the names of their owners, so that their ids are not the hashes of what they say.
		{"test_static_repository[tuf-on-ci-0.11]", func(w *world) {
			for _, role := range topLevelRoles {
				w.setKeys(role, 1, nil, nil)
				w.addKey(role, owned(newSigner("ecdsa", nil), doc{"x-tuf-on-ci-keyowner": "@someone"}))
			}
			w.docs["root"]["x-tuf-on-ci-expiry-period"] = 365
			w.in("root", "roles", "timestamp")["x-tuf-on-ci-signing-period"] = 3
			w.restart("root")
			w.publish("root")
			w.delegate("targets", "delegatedrole", doc{"paths": []string{"delegatedrole/*"}, "terminating": true})
			w.addFile("delegatedrole", "delegatedrole/artifact", "artifact")
			w.publish("delegatedrole", "targets", "snapshot", "timestamp")
			w.followed("delegatedrole/artifact")
		}},
		// Five people's keys of older forms, some of which have not signed, an online key for two roles, and signatures that are empty.
		{"test_static_repository[sigstore-root-signing]", func(w *world) {
			var people []simSigner
			for range 5 {
				people = append(people, owned(newSigner("ecdsa-sha2-nistp256", nil), doc{"keyid_hash_algorithms": []string{"sha256", "sha512"}}))
			}
			online := owned(newSigner("ecdsa", nil), doc{"x-tuf-on-ci-online-uri": "gcpkms://online"})
			w.setKeys("root", 3, people, people[:3])
			w.setKeys("targets", 3, people, people[1:4])
			w.setKeys("snapshot", 1, []simSigner{online}, []simSigner{online})
			w.setKeys("timestamp", 1, []simSigner{online}, []simSigner{online})
			w.restart("root")
			w.publish("root")
			w.amend("root", func(file doc) {
				file["signatures"] = append(file["signatures"].([]any), doc{"keyid": people[4].id, "sig": ""})
			})
			w.addFile("targets", "trusted_root.json", "{}", "sha256", "sha512")
			w.in("targets", "targets", "trusted_root.json")["custom"] = doc{"sigstore": doc{"status": "Active"}}
			w.everything()
			w.followed("trusted_root.json")
		}},
	}
}

// owned adds members to a key that keeps its id.
func owned(k simSigner, extra doc) simSigner {
	for name, value := range extra {
		k.public[name] = value
	}
	return k
}

// followed begins, refreshes and downloads.
func (w *world) followed(path string) {
	w.begin()
	w.refresh(good)
	w.download(path, good)
	w.downloaded(string(w.sim.files[path]))
}
