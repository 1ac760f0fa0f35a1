package gitd_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/project"
)

// BenchmarkHousekeeping takes the times of a project after 1,000 pushes before and after its housekeeping.
func BenchmarkHousekeeping(b *testing.B) {
	r, dir, url := pushed(b)
	r.become("untidy")
	r.pushMany(dir, 1000)
	before := r.measure(dir, url)
	r.become("tidy")
	start := time.Now()
	r.tidied(projectOf(url))
	b.ReportMetric(time.Since(start).Seconds(), "housekeeping-s")
	r.become("untidy")
	after := r.measure(dir, url)
	b.ReportMetric(0, "ns/op") // the time of b.N is of no interest
	for what := range before {
		b.ReportMetric(before[what], what+"-before")
		b.ReportMetric(after[what], what+"-after")
	}
}

// pushMany pushes commits one by one, each with a file, and a new branch with every tenth.
func (r *rig) pushMany(dir string, n int) {
	r.t.Helper()
	var script strings.Builder
	for i := range n {
		fmt.Fprintf(&script, "commit refs/heads/main\ncommitter a <a@example.org> %d +0000\ndata 1\n%c\n", 1e9+i, '-')
		if i == 0 {
			script.WriteString("from refs/heads/main^0\n")
		}
		fmt.Fprintf(&script, "M 644 inline d%d/f%d\ndata <<.\ncontent %d\n.\n\n", i%20, i%500, i)
	}
	cmd := r.gitCommand(dir, nil, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(script.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	commits := strings.Fields(r.mustGit(dir, "rev-list", "--reverse", "main"))
	for i, c := range commits {
		args := []string{"push", "-q", "lnk", c + ":refs/heads/main"}
		if i%10 == 0 {
			args = append(args, fmt.Sprintf("%s:refs/heads/topic/%d", c, i))
		}
		r.mustGit(dir, args...)
	}
}

// measure returns medians in milliseconds, and how many files there are.
func (r *rig) measure(dir, url string) map[string]float64 {
	r.t.Helper()
	median := func(rounds int, f func(round int)) float64 {
		var took []float64
		for round := range rounds {
			start := time.Now()
			f(round)
			took = append(took, time.Since(start).Seconds()*1e3)
		}
		slices.Sort(took)
		return took[rounds/2]
	}
	times := map[string]float64{
		"push-ms": median(21, func(round int) {
			r.mustGit(dir, "push", "-q", "-f", "lnk", fmt.Sprintf("main~%d:refs/heads/main", round%2))
		}),
		"clone-ms": median(5, func(round int) {
			r.mustGit(dir, "clone", "-q", "--bare", url, filepath.Join(r.t.TempDir(), fmt.Sprint(round)))
		}),
		"verify-ms": median(5, func(int) { r.verified(projectOf(url)) }),
	}
	times["files"] = r.countFiles(projectOf(url))
	return times
}

func (r *rig) countFiles(urn project.URN) (n float64) {
	check(r.t, fs.WalkDir(os.DirFS(r.storage(urn)), ".", func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			n++
		}
		return err
	}))
	return n
}
