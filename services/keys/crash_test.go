package keys_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
)

// crashLog tells this test, run a second time as a child, to sign into that log until it is killed.
const crashLog = "LNK_TEST_CRASH_LOG"

// TestAuditSurvivesKill kills a process (SIGKILL) that makes and uses signatures: every one that it has used, which it says
// on its output, is in the log, across files that were set aside.
func TestAuditSurvivesKill(t *testing.T) {
	if path := os.Getenv(crashLog); path != "" {
		signUntilKilled(t, path)
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	log := &keys.AuditLog{Path: path, MaxSize: crashLogSize}
	used := map[string]bool{}
	for round := range 5 {
		for _, line := range killedAfter(t, path, round, 20+7*round) {
			used[line] = true
		}
	}
	for _, r := range records(t, log) {
		delete(used, r.Caller)
	}
	if len(used) > 0 {
		t.Errorf("signatures were used, but are not in the log: %v", used)
	}
	if files, _ := filepath.Glob(path + "*"); len(files) < 2 {
		t.Errorf("nothing was set aside: %v", files)
	}
}

// crashLogSize has the log set aside again and again, and yet holds all lines of the test.
const crashLogSize = 16 << 10

func signUntilKilled(t *testing.T, path string) {
	for i := 0; ; i++ {
		caller := fmt.Sprintf("%s/%d", os.Getenv("LNK_TEST_CRASH_ROUND"), i)
		log := &keys.AuditLog{Path: path, MaxSize: crashLogSize}
		if _, err := log.Audited(keystest.Signer(1), "test", caller).Sign(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		fmt.Println("used", caller) // From here on somebody may rely on the signature.
	}
}

// killedAfter returns what the child has used when it is killed, after n signatures or somewhat more.
func killedAfter(t *testing.T, path string, round, n int) []string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestAuditSurvivesKill$")
	child.Env = append(os.Environ(), crashLog+"="+path, fmt.Sprintf("LNK_TEST_CRASH_ROUND=%d", round))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(time.Minute, func() { child.Process.Kill() })
	defer watchdog.Stop()
	var used []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if caller, ok := strings.CutPrefix(lines.Text(), "used "); ok {
			used = append(used, caller)
		}
		if len(used) == n {
			child.Process.Kill() // What it still wrote is read on: it counts as used.
		}
	}
	child.Wait()
	if len(used) < n {
		t.Fatalf("the child made only %d signatures", len(used))
	}
	return used
}
