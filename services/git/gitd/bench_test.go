package gitd_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The benchmarks run the same work over file:// and over lnk:// in turns, so that what else the machine does meets both,
// and report how many times as long lnk:// takes: the ratio of medians, and of the fastest rounds.

// rounds collects the times of both sides.
type rounds struct {
	rig             *rig
	file, lnk       []time.Duration
	fileCPU, lnkCPU time.Duration // processor time of everything that took part
}

// add runs one round; who comes first alternates, as the second finds warmer caches.
func (x *rounds) add(file, lnk *exec.Cmd) {
	if len(x.file)%2 == 0 {
		x.runFile(file)
		x.runLnk(lnk)
		return
	}
	x.runLnk(lnk)
	x.runFile(file)
}

func (x *rounds) runFile(c *exec.Cmd) {
	x.file = append(x.file, x.timed(c))
	x.fileCPU += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

func (x *rounds) runLnk(c *exec.Cmd) {
	before := x.rig.daemonCPU()
	x.lnk = append(x.lnk, x.timed(c))
	x.lnkCPU += c.ProcessState.UserTime() + c.ProcessState.SystemTime() + x.rig.daemonCPU() - before
}

func (x *rounds) timed(c *exec.Cmd) time.Duration {
	start := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		x.rig.t.Fatalf("%v: %v: %s", c.Args, err, out)
	}
	return time.Since(start)
}

// daemonCPU is what both daemons and their children have used, as far as they have ended (proc(5), stat).
func (r *rig) daemonCPU() time.Duration {
	const tick = 10 * time.Millisecond
	var ticks int
	for _, s := range []*service{r.gitd, r.bus} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		if err != nil {
			continue // not on this system
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		for _, field := range strings.Fields(rest)[11:15] {
			n, _ := strconv.Atoi(field)
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}

func (x *rounds) report(b *testing.B) {
	slices.Sort(x.file)
	slices.Sort(x.lnk)
	middle := len(x.file) / 2
	b.ReportMetric(milliseconds(x.file[middle]), "file-ms")
	b.ReportMetric(milliseconds(x.lnk[middle]), "lnk-ms")
	b.ReportMetric(float64(x.lnk[middle])/float64(x.file[middle]), "ratio")
	b.ReportMetric(float64(x.lnk[0])/float64(x.file[0]), "ratio-of-best")
	b.ReportMetric(milliseconds(x.fileCPU)/float64(len(x.file)), "file-cpu-ms")
	b.ReportMetric(milliseconds(x.lnkCPU)/float64(len(x.lnk)), "lnk-cpu-ms")
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

func (r *rig) pushCommand(dir, remote string, refs ...string) *exec.Cmd {
	return r.gitCommand(dir, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, append([]string{"push", "-q", remote}, refs...)...)
}

func BenchmarkPushOneCommit(b *testing.B) {
	r, dir := benchRig(b)
	x := rounds{rig: r}
	for b.Loop() {
		r.commit(dir)
		x.add(r.pushCommand(dir, "file", "main"), r.pushCommand(dir, "lnk", "main"))
	}
	x.report(b)
}

func BenchmarkPush1000Refs(b *testing.B) {
	r, dir := benchRig(b)
	x := rounds{rig: r}
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
	r.mustGit(dir, "config", "core.compression", "0") // of no use here, and slow
	data := make([]byte, 100<<10)
	for i := range 700 { // more than git would unpack, so both sides keep the one pack that they get
		_, _ = rand.Read(data)
		check(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%d", i)), data, 0o644))
	}
	r.mustGit(dir, "add", ".")
	r.mustGit(dir, "commit", "-qm", "data")
	r.mustGit(dir, "push", "-q", "file", "main")
	r.mustGit(dir, "push", "-q", "lnk", "main")
	x := rounds{rig: r}
	for b.Loop() {
		x.add(r.cloneCommand(b, dir, "file"), r.cloneCommand(b, dir, "lnk"))
	}
	x.report(b)
}

func (r *rig) cloneCommand(b *testing.B, dir, remote string) *exec.Cmd {
	return r.gitCommand(dir, nil, "clone", "-q", "--bare", r.mustGit(dir, "remote", "get-url", remote), filepath.Join(b.TempDir(), "clone.git"))
}
