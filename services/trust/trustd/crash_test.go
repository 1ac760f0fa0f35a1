package trustd

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/trust"
)

// kills is how many times TestKill kills the daemon; the issue asks for 200 points of every operation (LNK_KILLS).
func kills(t *testing.T) int {
	n := 24
	if s := os.Getenv("LNK_KILLS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestKill ends the daemon with SIGKILL at random moments of every operation. Before it is started again, clients accept
// what is on disk; and after, whatever was answered is still so, and the work can go on.
func TestKill(t *testing.T) {
	r := newRig(t)
	r.hold(onlineTwo)
	_ = r.srv.Close(t.Context())
	v := &process{t: t, dir: filepath.Dir(r.agent), agent: r.agent}
	v.start()
	defer func() { v.kill() }()
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	world := &world{process: v, rig: r, random: random, artifacts: map[string]bool{}}
	world.check()
	times := map[string]int{}
	for i := range kills(t) {
		operation := world.next()
		times[operation.name]++
		started := time.Now()
		done := make(chan struct{})
		// Most operations take 10 to 60 ms. Some are let go to their end, so that there is something to break.
		delay := time.Duration(random.Int64N(int64(80 * time.Millisecond)))
		if i%4 == 3 {
			delay = time.Minute
		}
		victimOf := v.cmd.Process
		timer := time.AfterFunc(delay, func() {
			defer close(done)
			_ = victimOf.Kill()
		})
		operation.run()
		if timer.Stop() {
			v.kill()
		} else {
			<-done
		}
		_ = v.cmd.Wait() // again, if it was waited for before, which is no harm
		world.accepts(fmt.Sprintf("kill %d, %v into %s", i, delay, operation.name))
		v.start()
		world.check()
		world.accepts(fmt.Sprintf("after the restart, kill %d in %s", i, operation.name))
		if t.Failed() {
			t.Fatalf("kill %d, %v into %s after %v", i, delay, operation.name, time.Since(started))
		}
	}
	t.Logf("%d kills; at the end root is version %d with %d artifacts; killed in %v", kills(t), world.version, len(world.artifacts), times)
}

// world is what the outside knows about the repository.
type world struct {
	*process
	rig       *rig
	random    *rand.Rand
	version   int64 // of root that is surely published
	root      *trust.Root
	pending   *trust.Root
	artifacts map[string]bool // those that were acknowledged
	count     int
}

type operation struct {
	name string
	run  func()
}

// next chooses what to do, with whatever is possible now.
func (w *world) next() operation {
	r := w.rig
	w.count++
	online := byte(onlineOne + w.count%2)
	switch {
	case w.root == nil && w.pending == nil:
		root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
		return operation{"bootstrap", func() { _, _ = w.send("POST", "bootstrap", bootstrapBody(root, 2)) }}
	case w.pending != nil && w.random.IntN(4) == 0:
		change := r.signed(r.newRoot(rootSpec{version: w.version + 1, signers: []byte{1, 2}, threshold: 2, online: online, days: 200 + w.count}), w.root, 1)
		return operation{"override", func() { _, _ = w.send("PATCH", "metadata/sign", rootBody(change)) }}
	case w.pending != nil && w.random.IntN(4) == 0 && w.root != nil:
		return operation{"cancel", func() { _, _ = w.send("DELETE", "metadata/sign", map[string]any{"role": "root"}) }}
	case w.pending != nil:
		body := r.signature("root", w.pending, 2)
		return operation{"sign", func() { _, _ = w.send("POST", "metadata/sign", body) }}
	case w.random.IntN(3) == 0:
		next := r.signed(r.newRoot(rootSpec{version: w.version + 1, signers: []byte{1, 2}, threshold: 2, online: online}), w.root, 1)
		return operation{"update", func() { _, _ = w.send("POST", "metadata", rootBody(next)) }}
	case w.random.IntN(3) == 0:
		return operation{"online", func() { _, _ = w.send("POST", "metadata/online", map[string]any{"roles": []string{}}) }}
	}
	path := fmt.Sprintf("file-%d", w.count)
	return operation{"add", func() {
		answer, err := w.send("POST", "artifacts", addBody(path))
		if data, ok := answer["data"].(map[string]any); err == nil && ok && data["error"] == nil {
			w.artifacts[path] = true
		}
	}}
}

// check asks the daemon where it stands, and that it is not behind what was known.
func (w *world) check() {
	w.t.Helper()
	a, err := w.send("GET", "metadata/sign", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.pending = nil
	if data, ok := a["data"].(map[string]any); ok {
		text, _ := json.Marshal(data["metadata"].(map[string]any)["root"])
		if w.pending, err = trust.ParseRoot(text); err != nil {
			w.t.Fatal(err)
		}
	}
	for version := w.version + 1; ; version++ {
		data, err := os.ReadFile(w.metadata(versioned("root", version)))
		if err != nil {
			return
		}
		if w.root, err = trust.ParseRoot(data); err != nil {
			w.t.Fatal(err)
		}
		w.version = version
	}
}

// accepts has go-tuf read what is on disk, without the daemon's help.
func (w *world) accepts(when string) {
	w.t.Helper()
	if _, err := os.Stat(w.metadata(timestampFile)); err != nil {
		if w.root != nil {
			w.t.Errorf("%s: no timestamp", when)
		}
		return
	}
	files := http.StripPrefix("/metadata/", http.FileServer(http.Dir(w.metadata(""))))
	u, err := clientOf(files, "", time.Now())
	if err != nil {
		w.t.Errorf("%s: a client refuses: %v", when, err)
		return
	}
	for path := range w.artifacts {
		if _, err := u.GetTargetInfo(path); err != nil {
			w.t.Errorf("%s: %s was acknowledged: %v", when, path, err)
		}
	}
}
