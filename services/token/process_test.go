package token

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/profile"
)

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// child is the environment variable that makes this test a process that spends a token: the token's text.
const child = "LNK_TEST_TOKEN"

// callers is how many goroutines of it do so at once.
const callers = "LNK_TEST_CALLERS"

// TestMain lets a child run as a program of its own.
func TestMain(m *testing.M) {
	if text := os.Getenv(child); text != "" {
		spendAll([]byte(text))
		return
	}
	os.Exit(m.Run())
}

// spendAll spends the token until nothing is left, and says so on standard output each time.
func spendAll(text []byte) {
	dirs, err := profile.NewDirs(os.Getenv)
	if err != nil {
		panic(err)
	}
	n, err := strconv.Atoi(os.Getenv(callers))
	if err != nil {
		panic(err)
	}
	s := Open(dirs)
	var out sync.Mutex
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			for s.Spend(context.Background(), text, "test.run", "child") == nil {
				out.Lock()
				fmt.Println("ran")
				out.Unlock()
			}
		})
	}
	group.Wait()
}

// startChild returns a process that spends, and its output.
func startChild(t *testing.T, dirs profile.Dirs, text []byte, n int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	home := strings.TrimSuffix(dirs.State, "/state")
	cmd.Env = append(os.Environ(), "LNK_HOME="+home, child+"="+string(text), callers+"="+strconv.Itoa(n), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { watchdog.Stop(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

// TestProcesses: however many ask at once, in however many processes, each use is good once.
func TestProcesses(t *testing.T) {
	const uses = 25
	dirs := testDirs(t)
	_, text := issue(t, Open(dirs), Order{Methods: Patterns{"test.run"}, Uses: uses})
	var group sync.WaitGroup
	counts := make([]int, 2)
	for i := range counts {
		_, lines := startChild(t, dirs, text, 50)
		group.Go(func() {
			for lines.Scan() {
				counts[i]++
			}
		})
	}
	group.Wait()
	if counts[0]+counts[1] != uses {
		t.Errorf("%d uses were good %v times", uses, counts)
	}
}

// TestKill kills processes (SIGKILL) while they spend: no use comes back, none but those under way are lost, and the token
// stays good for the rest.
func TestKill(t *testing.T) {
	const uses, kills = 60, 8
	dirs := testDirs(t)
	s := Open(dirs)
	info, text := issue(t, s, Order{Methods: Patterns{"test.run"}, Uses: uses})
	ran := 0
	for i := range kills {
		cmd, lines := startChild(t, dirs, text, 1)
		for n := 0; lines.Scan(); n++ {
			if ran++; n == 3 {
				_ = cmd.Process.Kill() // what it still said is read on
			}
		}
		_ = cmd.Wait()
		f, err := openFile(t.Context(), s.path(info.ID))
		if err != nil {
			t.Fatal(err)
		}
		if f.record.spent < ran || f.record.spent > ran+i+1 {
			t.Errorf("%d calls ran and %d uses are spent", ran, f.record.spent)
		}
		_ = f.Close()
	}
	for s.Spend(t.Context(), text, "test.run", "") == nil {
		ran++
	}
	if ran > uses || ran < uses-kills {
		t.Errorf("%d uses were good %d times, with %d kills", uses, ran, kills)
	}
}
