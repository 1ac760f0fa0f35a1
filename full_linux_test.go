package lnk_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPushWhileTheBusHasNoDisk pushes while the disk under the bus is full: the push lands and says that its events are
// deferred; with room again they arrive in order, once (issue 2).
func TestPushWhileTheBusHasNoDisk(t *testing.T) {
	s := newSuite(t)
	disk := filepath.Join(s.dir, "lnk/state/bus")
	if err := os.MkdirAll(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=32m,mode=700"); err != nil {
		t.Skipf("a small file system can be mounted only as root: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	work := s.repository("full", 1<<10)

	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 64<<20), 0o600); err == nil {
		t.Fatal("64 MiB fit on a disk of 32")
	}
	const refs = 60 // more than fits into what is left of the last page
	for i := range refs {
		s.git(work, "branch", fmt.Sprintf("b%02d", i))
	}
	out, err := s.command(work, "git", "push", "--quiet", "lnk", "refs/heads/b*:refs/heads/b*").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("events are deferred")) {
		t.Fatalf("push with the bus's disk full: %v\n%s", err, out)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	_, events := s.run(work, "lnk", "sub", "rad.*.git.>", "--replay", "all", "--count", fmt.Sprint(1+refs), "--timeout", "60s")
	lines := strings.Split(strings.TrimSpace(events), "\n")
	for i, line := range lines[1:] {
		if !strings.Contains(line, fmt.Sprintf(`"ref":"refs/heads/b%02d"`, i)) {
			t.Errorf("event %d is not of b%02d: %s", i+2, i, line)
		}
	}
	if _, again := s.run(work, "lnk", "sub", "rad.*.git.>", "--replay", "all", "--until-current"); strings.Count(again, "\n") != 1+refs {
		t.Errorf("%d events are stored, not %d", strings.Count(again, "\n"), 1+refs)
	}
}
