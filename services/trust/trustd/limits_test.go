package trustd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/trust"
)

func numbered(format string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(format, i)
	}
	return names
}

// TestSnapshotTooLarge: more bins than an ssh-agent signs the list of are refused before anything is signed, with the cause
// and the cure, and the repository goes on.
func TestSnapshotTooLarge(t *testing.T) {
	r, _ := begun(t, 16384)
	r.ok("POST", "artifacts", addBody("first"))
	signed, files := len(r.audited()), r.onDisk()
	result := r.do("POST", "artifacts", addBody(numbered("dir/file-%d", 12_500)...))
	text, _ := result["error"].(string)
	hint, _ := result["details"].(map[string]any)["hint"].(string)
	if result["state"] != "ERRORED" || !strings.Contains(text, "an ssh-agent signs 260000") || !strings.Contains(hint, "at most 4096 bins") {
		t.Errorf("%v", result)
	}
	if got := len(r.audited()); got != signed {
		t.Errorf("%d signatures were made for nothing", got-signed)
	}
	if got := r.onDisk(); got != files {
		t.Errorf("files are %s, want %s", got, files)
	}
	r.restart()
	r.ok("POST", "artifacts", addBody("second"))
	r.accepts("first", "second")
}

// onDisk lists what clients can fetch and what is unfinished.
func (r *rig) onDisk() string {
	var all []string
	for _, dir := range []string{"metadata", "new"} {
		names, _ := filepath.Glob(filepath.Join(r.dirs.State, "trust", "default", dir, "*"))
		all = append(all, names...)
	}
	return strings.Join(all, " ")
}

// TestSnapshotRoom: 10,000 targets in 16,384 bins fit, and go on to fit for as long as new roles are admitted with.
func TestSnapshotRoom(t *testing.T) {
	r, root := begun(t, 16384)
	bins := trust.Bins{Role: root.Role(trust.RoleTimestamp), Prefix: roleBins, Bits: 14}
	r.look(func(repo *repository) {
		e := &edit{r: repo, next: repo.state, now: r.clock.Now(), root: repo.root, versions: map[string]int64{trust.RoleTargets: 1}}
		try := func(version int64) error {
			for name := range e.versions {
				e.versions[name] = version
			}
			var err error
			if e.snapshot, err = trust.NewSnapshot(trust.SnapshotSpec{Version: version, Expires: r.clock.Now(), Versions: e.versions}); err != nil {
				t.Fatal(err)
			}
			return e.checkSnapshot()
		}
		for _, path := range numbered("dir/file-%d", 10_000) {
			e.versions[bins.Name(bins.For(path))] = 1
		}
		for _, version := range []int64{1, 99, 9999} {
			if err := try(version); err != nil {
				t.Errorf("%d roles of version %d: %v", len(e.versions), version, err)
			}
		}
		for i := range bins.Count() {
			e.versions[bins.Name(i)] = 1
		}
		if err := try(1); ipc.CodeOf(err) != ipc.TooLarge || ipc.HintOf(err) == "" {
			t.Errorf("all %d bins: %v", len(e.versions), err)
		}
	})
}

// TestAgentSignsMaxPayload: the limit is one that OpenSSH's agent keeps, whatever room it needs for the rest of a request.
func TestAgentSignsMaxPayload(t *testing.T) {
	agent := keystest.Agent(t)
	id := keystest.AddKey(t, agent)
	if _, err := agent.Signer(id).Sign(t.Context(), make([]byte, trust.MaxPayload)); err != nil {
		t.Error(err)
	}
}

// TestRoleTooLarge: a role that holds more than an ssh-agent signs keeps what it had, and the error names it.
func TestRoleTooLarge(t *testing.T) {
	r, _ := begun(t, 2)
	r.ok("POST", "artifacts", addBody("first"))
	before := r.onDisk()
	text := r.errored("POST", "artifacts", addBody(numbered("dir/"+strings.Repeat("x", 100)+"-%d", 3000)...))
	if !strings.Contains(text, "role bins-") || !strings.Contains(text, "an ssh-agent takes 260000") {
		t.Error(text)
	}
	if got := r.onDisk(); got != before {
		t.Errorf("files are %s, want %s", got, before)
	}
	r.ok("POST", "artifacts", addBody("second"))
	r.accepts("first", "second")
}

// TestUnfinishedFiles: what a crash left is gone when the repository is opened again.
func TestUnfinishedFiles(t *testing.T) {
	r, _ := begun(t, 2)
	left := filepath.Join(r.dirs.State, "trust", "default", "new", "7.bins-0.json")
	if err := os.WriteFile(left, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.accepts()
	if _, err := os.Stat(left); err == nil {
		t.Errorf("%s is still there", left)
	}
}

// TestOldestEventsAreDropped reaches the limit on events that wait, also while some are on their way to the bus.
func TestOldestEventsAreDropped(t *testing.T) {
	r := &repository{state: new(state)}
	tell := func(n int) {
		for range n {
			r.state.tell("default", kindSigned, trust.Event{})
		}
	}
	tell(maxOutgoing + 5)
	underway := slices.Clone(r.unsent())
	if len(underway) != maxOutgoing {
		t.Fatalf("%d events wait", len(underway))
	}
	tell(10)
	r.sent(underway[:20])
	if left := r.unsent(); len(left) != maxOutgoing-10 || left[0].ID != underway[20].ID {
		t.Errorf("%d events are left, the first is %s", len(left), left[0].ID)
	}
}
