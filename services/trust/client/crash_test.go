package client

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// crashWorld tells this test, run a second time as a child, what to follow until it is killed: URL, metadata and targets folder.
const crashWorld = "LNK_TEST_CRASH_WORLD"

// TestClientSurvivesKill kills a client (SIGKILL) at any point of its work, again and again. What it trusts is whole and never
// goes back, what it has downloaded is right, and the next one goes on from there.
func TestClientSurvivesKill(t *testing.T) {
	if where := os.Getenv(crashWorld); where != "" {
		followUntilKilled(t, strings.Split(where, "\n"))
	}
	w := newWorld(t, ours{})
	w.begin()
	seen := map[string]int64{}
	for round := range 25 {
		content := w.change(round)
		w.killedSometime(t)
		for _, role := range w.held() {
			v := w.version(role)
			if v < seen[role] || v == 0 {
				t.Fatalf("round %d: %s is at version %d, was at %d", round, role, v, seen[role])
			}
			seen[role] = v
			w.whole(role)
		}
		if data, err := os.ReadFile(filepath.Join(w.files, "file")); err == nil && !strings.HasPrefix(string(data), "content ") {
			t.Fatalf("round %d: downloaded %.40q", round, data)
		}
		w.download("file", good)
		if data, err := os.ReadFile(filepath.Join(w.files, "file")); string(data) != content {
			t.Fatalf("round %d: downloaded %.40q (%v)", round, data, err)
		}
	}
	w.trusts(fmt.Sprintf("root %[1]d, snapshot %[1]d, targets %[1]d, timestamp %[1]d", 26))
}

// change publishes another version of everything, with a target of some size.
func (w *world) change(round int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	content := "content " + strings.Repeat(strconv.Itoa(round), 20_000)
	w.addFile("targets", "file", content)
	w.publish("root", "targets", "snapshot", "timestamp")
	return content
}

// whole checks that what is kept of a role can be read and is what the repository has published.
func (w *world) whole(role string) {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, role+".json"))
	if err != nil || !json.Valid(data) || string(data) != string(w.published[role][w.version(role)-1]) {
		w.t.Fatalf("%s is broken (%v): %.100s", role, err, data)
	}
}

// killedSometime runs a client that begins anew again and again, and kills it a moment after it has begun.
func (w *world) killedSometime(t *testing.T) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestClientSurvivesKill$")
	child.Env = append(os.Environ(), crashWorld+"="+strings.Join([]string{w.url, w.dir, w.files}, "\n"))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "begin" {
		t.Fatalf("the child says %q", lines.Text())
	}
	kill := time.AfterFunc(rand.N(20*time.Millisecond), func() { _ = child.Process.Kill() })
	defer kill.Stop()
	for lines.Scan() {
	}
	_ = child.Wait() // it was killed
}

func followUntilKilled(t *testing.T, where []string) {
	w := &world{t: t, url: where[0], dir: where[1], files: where[2]}
	fmt.Println("begin")
	for {
		if err := (ours{}).download(w, "file", today); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{filepath.Join(w.files, "file"), filepath.Join(w.dir, "timestamp.json")} {
			if err := os.Remove(path); err != nil { // so that there is something to do
				t.Fatal(err)
			}
		}
	}
}
