package gitd_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The benchmarks run the same work over file:// and over lnk:// in turns, so that what else the machine does meets both,
// and report how many times as long lnk:// takes: the ratio of medians, and of the fastest rounds.

// rounds collects the times of both sides.
type rounds struct{ file, lnk []time.Duration }

// add runs one round; who comes first alternates, as the second finds warmer caches.
func (x *rounds) add(file, lnk func()) {
	if len(x.file)%2 == 0 {
		x.file = append(x.file, timed(file))
		x.lnk = append(x.lnk, timed(lnk))
		return
	}
	x.lnk = append(x.lnk, timed(lnk))
	x.file = append(x.file, timed(file))
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func (x *rounds) report(b *testing.B) {
	slices.Sort(x.file)
	slices.Sort(x.lnk)
	middle := len(x.file) / 2
	b.ReportMetric(milliseconds(x.file[middle]), "file-ms")
	b.ReportMetric(milliseconds(x.lnk[middle]), "lnk-ms")
	b.ReportMetric(float64(x.lnk[middle])/float64(x.file[middle]), "ratio")
	b.ReportMetric(float64(x.lnk[0])/float64(x.file[0]), "ratio-of-best")
	b.ReportMetric(0, "ns/op")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// benchRig is a project, a bare repository beside it, and a working copy with both as remotes.
func benchRig(b *testing.B) (r *rig, dir string) {
	r = newRig(b)
	dir = r.newCopy(r.newProject())
	plain := b.TempDir()
	r.mustGit(plain, "init", "-q", "--bare", ".")
	r.mustGit(dir, "remote", "add", "file", "file://"+plain)
	r.mustGit(dir, "push", "-q", "lnk", "main")
	r.mustGit(dir, "push", "-q", "file", "main")
	return r, dir
}

// pushCommand returns git alone, without the test's own work.
func (r *rig) pushCommand(dir, remote string, refs ...string) func() {
	return func() {
		cmd := r.gitCommand(dir, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, append([]string{"push", "-q", remote}, refs...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			r.t.Fatalf("push to %s: %v: %s", remote, err, out)
		}
	}
}

func BenchmarkPushOneCommit(b *testing.B) {
	r, dir := benchRig(b)
	var x rounds
	for b.Loop() {
		r.commit(dir)
		x.add(r.pushCommand(dir, "file", "main"), r.pushCommand(dir, "lnk", "main"))
	}
	x.report(b)
}

func BenchmarkPush1000Refs(b *testing.B) {
	r, dir := benchRig(b)
	var x rounds
	for i := 0; b.Loop(); i++ {
		var script strings.Builder
		for n := range 1000 {
			fmt.Fprintf(&script, "create refs/tags/r%d/%d HEAD\n", i, n)
		}
		cmd := r.gitCommand(dir, nil, "update-ref", "--stdin")
		cmd.Stdin = strings.NewReader(script.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		refs := fmt.Sprintf("refs/tags/r%d/*:refs/tags/r%d/*", i, i)
		x.add(r.pushCommand(dir, "file", refs), r.pushCommand(dir, "lnk", refs))
	}
	x.report(b)
}

// BenchmarkClone clones 70 MB that do not compress.
func BenchmarkClone(b *testing.B) {
	r, dir := benchRig(b)
	data := make([]byte, 1<<20)
	for i := range 70 {
		_, _ = rand.Read(data)
		check(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%d", i)), data, 0o644))
	}
	r.mustGit(dir, "add", ".")
	r.mustGit(dir, "commit", "-qm", "data")
	r.pushCommand(dir, "file", "main")()
	r.pushCommand(dir, "lnk", "main")()
	clone := func(remote string) func() {
		url := r.mustGit(dir, "remote", "get-url", remote)
		return func() {
			into := filepath.Join(b.TempDir(), "clone.git")
			cmd := r.gitCommand(dir, nil, "clone", "-q", "--bare", url, into)
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			os.RemoveAll(into)
		}
	}
	var x rounds
	for b.Loop() {
		x.add(clone("file"), clone("lnk"))
	}
	x.report(b)
}
