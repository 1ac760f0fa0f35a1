package lnk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTour runs what the README promises first: `make run` shows the main job, exits 0 and leaves nothing behind.
func TestTour(t *testing.T) {
	scratch, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(scratch) })
	tour := exec.Command("make", "--no-print-directory", "run")
	tour.Env = append(os.Environ(), "TMPDIR="+scratch)
	out, err := tour.CombinedOutput()
	if err != nil {
		t.Fatalf("make run: %v\n%s", err, out)
	}
	for _, sign := range []string{"new branch", `"ref":"refs/heads/main"`, `"ref":"refs/tags/tour"`, "verified 1 signature"} {
		if !strings.Contains(string(out), sign) {
			t.Errorf("the tour does not show %q:\n%s", sign, out)
		}
	}
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("the tour leaves %s behind", left)
	}
	if left := processesIn(scratch); len(left) > 0 {
		t.Errorf("the tour leaves processes behind: %q", left)
	}
}

// processesIn lists the command lines that name dir.
func processesIn(dir string) (lines []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		line, err := os.ReadFile(path) // a process may end meanwhile
		if err == nil && strings.Contains(string(line), dir) {
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}
