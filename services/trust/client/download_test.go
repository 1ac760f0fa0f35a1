package client

import (
	"fmt"
	"strings"
)

// downloadCases are test_file_download.py.
func downloadCases() []conformance {
	cases := []conformance{
		{"test_client_downloads_expected_file", func(w *world) {
			w.begin()
			w.addFile("targets", "target_file.txt", "target file contents")
			w.everything()
			w.refresh(good)
			w.downloaded()
			w.download("target_file.txt", good)
			w.downloaded("target file contents")
		}},
		{"test_client_downloads_expected_file_in_sub_dir", func(w *world) {
			w.begin()
			w.addFile("targets", "path/to/a/target_file.txt", "target file contents")
			w.everything()
			w.download("path/to/a/target_file.txt", good)
			w.downloaded("target file contents")
		}},
		{"test_repository_substitutes_target_file", func(w *world) {
			w.begin()
			w.addFile("targets", "target_file.txt", "target file contents")
			w.addFile("targets", "another_target_file.txt", "content")
			w.everything()
			w.download("target_file.txt", good)
			w.sim.files["target_file.txt"] = []byte("malicious data - should not download")
			w.sim.files["another_target_file.txt"] = []byte("malicious data - should not download")
			_ = w.who.download(w, "target_file.txt", today) // from the cache, or not
			w.downloaded("target file contents")
			w.download("another_target_file.txt", bad)
			w.downloaded("target file contents")
		}},
		{"test_multiple_changes_to_target", changingTarget},
		{"test_download_with_unknown_hash_algorithm", func(w *world) {
			w.addFile("targets", "target_file.txt", "target file contents", "unknown-hash")
			w.everything()
			w.begin()
			w.download("target_file.txt", bad)
			w.downloaded()
		}},
		{"test_artifact_cache", func(w *world) {
			w.addFile("targets", "target_file.txt", "target file contents")
			w.everything()
			w.begin()
			w.download("target_file.txt", good)
			w.download("target_file.txt", good)
			w.downloaded("target file contents")
			if len(w.askedFiles) != 1 {
				w.t.Fatalf("asked for %q", w.askedFiles)
			}
		}},
	}
	for i, algorithms := range [][]string{{"sha256"}, {"sha512"}, {"sha256", "sha512"}} {
		cases = append(cases, conformance{fmt.Sprintf("test_download_with_hash_algorithms[hashes%d]", i), func(w *world) {
			w.addFile("targets", "target_file.txt", "target file contents", algorithms...)
			w.everything()
			w.begin()
			w.download("target_file.txt", good)
			w.downloaded("target file contents")
			prefix, _, _ := strings.Cut(w.askedFiles[0], ".")
			if len(w.askedFiles) != 1 || prefix != sumOf("sha256", "target file contents") && prefix != sumOf("sha512", "target file contents") {
				w.t.Fatalf("asked for %q", w.askedFiles)
			}
		}})
	}
	return cases
}

// changingTarget: the repository changes a target, rightly and wrongly, many times.
func changingTarget(w *world) {
	w.begin()
	w.addFile("targets", "target_file.txt", "target file contents")
	w.everything()
	w.download("target_file.txt", good)
	have := []string{}
	for i := range 11 {
		modified := fmt.Sprintf("modified file contents %d", i)
		w.addFile("targets", "target_file.txt", modified)
		added, name := fmt.Sprintf("new file contents %d", i), fmt.Sprintf("new-target-%d", i)
		w.addFile("targets", name, added)
		w.everything()
		if i%5 != 0 {
			continue
		}
		w.download("target_file.txt", good)
		w.downloaded(append(have, modified)...)
		w.download(name, good)
		have = append(have, added)
		w.sim.files["target_file.txt"] = fmt.Appendf(nil, "malicious contents %d", i)
		w.everything()
		_ = w.who.download(w, "target_file.txt", today)
		w.downloaded(append(have, modified)...)
	}
}
