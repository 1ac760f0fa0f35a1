package lnk_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

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
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
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
	out, log := &output{}, &output{}
	cmd := s.command(s.dir, name, args...)
	cmd.Stdout, cmd.Stderr = out, log
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if s.tb.Failed() {
			s.tb.Logf("%s:\n%s", name, log)
		}
	})
	return out
}

func (s *suite) await(done func() bool) {
	for range 6000 { // a minute
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
