package lnk_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The benchmarks of the main job compare git over lnk:// with the same git over file://, in interleaved rounds, and
// report the median of the rounds' ratios. `make bench` runs them; they assert nothing, as machines are noisy.

// A suite is lnk on scratch folders: programs built from this checkout, `lnk up` and an ssh-agent running.
type suite struct {
	tb  testing.TB
	dir string
	env []string
}

func newSuite(tb testing.TB) *suite {
	dir, err := os.MkdirTemp("", "lnk")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	s := &suite{tb: tb, dir: dir}
	s.env = append(os.Environ(),
		"PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "HOME="+dir, "LNK_HOME="+filepath.Join(dir, "lnk"),
		"XDG_RUNTIME_DIR="+filepath.Join(dir, "run"), "SSH_AUTH_SOCK="+filepath.Join(dir, "agent"), "LNK_PROFILE=",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=b", "GIT_AUTHOR_EMAIL=b@localhost",
		"GIT_COMMITTER_NAME=b", "GIT_COMMITTER_EMAIL=b@localhost")
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		tb.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "bin")+"/", "./cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	s.start("ssh-agent", "-D", "-a", filepath.Join(dir, "agent"))
	s.await(func() bool { _, err := os.Stat(filepath.Join(dir, "agent")); return err == nil })
	up := s.start("lnk", "up", "--idle", "5m")
	s.await(func() bool { return strings.Contains(up.String(), "ready\n") })
	passphrase := filepath.Join(dir, "passphrase")
	if err := os.WriteFile(passphrase, []byte("correct horse battery staple"), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.run(dir, "lnk", "profile", "create", "bench", "--passphrase-file", passphrase)
	return s
}

// start runs a program until the benchmark ends and returns what it prints.
func (s *suite) start(name string, args ...string) *output {
	out := &output{}
	cmd := s.command(s.dir, name, args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	return out
}

func (s *suite) await(done func() bool) {
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.tb.Fatal("the suite does not come up")
}

func (s *suite) command(dir, name string, args ...string) *exec.Cmd {
	program := name
	if own := filepath.Join(s.dir, "bin", name); fileExists(own) {
		program = own
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, s.env
	return cmd
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// run returns how long a command took and what it printed on stdout.
func (s *suite) run(dir, name string, args ...string) (time.Duration, string) {
	cmd := s.command(dir, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		s.tb.Fatalf("%s %v: %v\n%s", name, args, err, stderr.Bytes())
	}
	return time.Since(start), string(out)
}

func (s *suite) git(dir string, args ...string) time.Duration {
	took, _ := s.run(dir, "git", args...)
	return took
}

// repository makes a work tree with one commit and two remotes: peer is a bare repository at a file:// URL, lnk a project.
func (s *suite) repository(name string, size int) string {
	work, bare := filepath.Join(s.dir, name), filepath.Join(s.dir, name+".git")
	s.git(s.dir, "init", "--quiet", "-b", "main", work)
	s.git(s.dir, "init", "--quiet", "--bare", "-b", "main", bare)
	content := make([]byte, size) // incompressible
	rand.Read(content)
	if err := os.WriteFile(filepath.Join(work, "content"), content, 0o600); err != nil {
		s.tb.Fatal(err)
	}
	s.git(work, "add", ".")
	s.git(work, "commit", "--quiet", "-m", "first")
	s.git(work, "remote", "add", "peer", "file://"+bare)
	s.run(work, "lnk", "init")
	s.git(work, "push", "--quiet", "peer", "main")
	s.git(work, "push", "--quiet", "lnk", "main")
	return work
}

// compare runs rounds of both and reports medians and the ratio.
func compare(b *testing.B, rounds int, ours, peer func(round int) time.Duration) {
	var a, p, ratios []float64
	for round := range rounds {
		x, y := ours(round).Seconds()*1e3, peer(round).Seconds()*1e3
		a, p, ratios = append(a, x), append(p, y), append(ratios, x/y)
	}
	b.ReportMetric(0, "ns/op") // the time of b.N is of no interest
	b.ReportMetric(median(a), "lnk-ms")
	b.ReportMetric(median(p), "peer-ms")
	b.ReportMetric(median(ratios), "ratio")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkPush pushes one commit. Issue 2 asks for a ratio of at most 1.5.
func BenchmarkPush(b *testing.B) {
	s := newSuite(b)
	work := s.repository("one", 1<<10)
	push := func(remote string) func(int) time.Duration {
		return func(round int) time.Duration {
			s.git(work, "commit", "--quiet", "--allow-empty", "-m", fmt.Sprint(remote, round))
			return s.git(work, "push", "--quiet", remote, "main")
		}
	}
	compare(b, 31, push("lnk"), push("peer"))
}

// BenchmarkPush1000Refs pushes 1,000 new branches at once, which lnk signs and announces. Issue 2: at most 1.5.
func BenchmarkPush1000Refs(b *testing.B) {
	s := newSuite(b)
	work := s.repository("many", 1<<10)
	push := func(remote string) func(int) time.Duration {
		return func(round int) time.Duration {
			space := fmt.Sprintf("refs/heads/%s/%d/", remote, round)
			var refs strings.Builder
			for i := range 1000 {
				fmt.Fprintf(&refs, "create %sb%d HEAD\n", space, i)
			}
			update := s.command(work, "git", "update-ref", "--stdin")
			update.Stdin = strings.NewReader(refs.String())
			if out, err := update.CombinedOutput(); err != nil {
				s.tb.Fatalf("update-ref: %v\n%s", err, out)
			}
			return s.git(work, "push", "--quiet", remote, space+"*:"+space+"*")
		}
	}
	compare(b, 7, push("lnk"), push("peer"))
}

// BenchmarkClone70MB clones a repository that does not compress. Issue 2: at most 1.15.
func BenchmarkClone70MB(b *testing.B) {
	s := newSuite(b)
	work := s.repository("large", 70<<20)
	clone := func(remote string) func(int) time.Duration {
		_, url := s.run(work, "git", "remote", "get-url", remote)
		return func(int) time.Duration {
			to := filepath.Join(s.dir, "clone")
			defer os.RemoveAll(to)
			return s.git(s.dir, "clone", "--quiet", "--bare", strings.TrimSpace(url), to)
		}
	}
	compare(b, 7, clone("lnk"), clone("peer"))
}

// BenchmarkStatus times `lnk status` beside `git version`. Issue 2 asks for less than 20 ms.
func BenchmarkStatus(b *testing.B) {
	s := newSuite(b)
	compare(b, 31,
		func(int) time.Duration { took, _ := s.run(s.dir, "lnk", "status"); return took },
		func(int) time.Duration { return s.git(s.dir, "version") })
}

// An output collects what a program prints while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
