package trustd

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/lnk-suite/lnk/services/trust"
)

// large is a repository with 16,384 hash bins and 10,000 targets.
func large(b *testing.B) *rig {
	b.Helper()
	r := newRig(b)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1}}), nil, 1)
	r.ok("POST", "bootstrap", bootstrapBody(root, 16384))
	request := artifactsRequest{add: map[string]trust.Target{}}
	for i := range 10_000 {
		request.add[fmt.Sprintf("dir/file-%d", i)] = trust.Target{Length: 3, Hashes: map[string]string{"sha256": fooSum}}
	}
	started := time.Now()
	r.look(func(repo *repository) {
		if _, err := repo.artifacts(b.Context(), request, caller{who: "a test"}); err != nil {
			b.Fatal(err)
		}
	})
	b.Logf("10,000 targets in 16,384 bins published in %v", time.Since(started))
	r.accepts("dir/file-1", "dir/file-9999")
	return r
}

// BenchmarkAddToLarge adds one artifact. Its floor is go-tuf reading, verifying and writing the snapshot that has to be new
// for it, in the same run.
func BenchmarkAddToLarge(b *testing.B) {
	r := large(b)
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	n := 0
	started := time.Now()
	for b.Loop() {
		n++
		r.ok("POST", "artifacts", addBody(fmt.Sprintf("new/%d", n)))
	}
	ours := time.Since(started) / time.Duration(n)
	b.ReportMetric(float64(ours.Microseconds())/1000, "ms/artifact")
	b.ReportMetric(float64(memory.HeapAlloc)/(1<<20), "MiB-heap")
	b.ReportMetric(float64(ours)/float64(goTUF(b, r)), "x-go-tuf")
	r.accepts("dir/file-1", "new/1")
}

// goTUF is how long go-tuf takes to read, sign anew and write the snapshot.
func goTUF(b *testing.B, r *rig) time.Duration {
	var version int64
	r.look(func(repo *repository) { version = repo.edition.snapshot.Version })
	data := []byte(r.http("GET", fmt.Sprintf("/metadata/%d.snapshot.json", version), nil).text)
	root, err := metadata.Root().FromBytes([]byte(r.http("GET", "/metadata/1.root.json", nil).text))
	if err != nil {
		b.Fatal(err)
	}
	started := time.Now()
	const rounds = 5
	for range rounds {
		snapshot, err := metadata.Snapshot().FromBytes(data)
		if err != nil {
			b.Fatal(err)
		}
		if err := root.VerifyDelegate("snapshot", snapshot); err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(snapshot); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(started) / rounds
}

// BenchmarkSign is one signature of a person, stored.
func BenchmarkSign(b *testing.B) {
	r := newRig(b)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2, 3}, threshold: 3}), nil, 1)
	r.ok("POST", "bootstrap", bootstrapBody(root, 2))
	body := r.signature("root", root, 2)
	for b.Loop() {
		r.ok("POST", "metadata/sign", body)
	}
}
