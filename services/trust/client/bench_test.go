package client

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkFollow is a client with its first root that downloads a target of a repository with 4096 hash bins, and then is asked
// again when nothing is new; the peer is go-tuf, in rounds between ours.
func BenchmarkFollow(b *testing.B) {
	w := newWorld(b, nil)
	w.succinct("bins", 12)
	w.addFile("bins-30d", "file7", "content") // SHA-256 begins with 30d
	w.publish("bins-30d")
	w.everything()
	first := func(who follower) time.Duration {
		w.who, w.dir, w.files = who, b.TempDir(), b.TempDir()
		w.begin()
		return w.timed(who)
	}
	again := func(who follower) time.Duration {
		first(who)
		return w.timed(who)
	}
	for name, run := range map[string]func(follower) time.Duration{"first": first, "again": again} {
		b.Run(name, func(b *testing.B) {
			const rounds = 31
			var mine, theirs []time.Duration
			for range rounds {
				mine, theirs = append(mine, run(ours{})), append(theirs, run(judge{}))
			}
			slices.Sort(mine)
			slices.Sort(theirs)
			b.ReportMetric(float64(mine[rounds/2])/float64(theirs[rounds/2]), "x-go-tuf")
			b.ReportMetric(float64(mine[rounds/2].Microseconds())/1000, "ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// timed is how long one download takes.
func (w *world) timed(who follower) time.Duration {
	begin := time.Now()
	if err := who.download(w, "file7", today); err != nil {
		w.t.Fatal(err)
	}
	return time.Since(begin)
}
