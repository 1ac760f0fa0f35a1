package trustd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// kills is at how many moments of every operation TestKill ends the daemon; LNK_KILLS sets another number than the two
// that fit into a run of all tests.
func kills(t *testing.T) int {
	n := 2
	if s := os.Getenv("LNK_KILLS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestKill ends the daemon with SIGKILL at a random moment of every operation in the life of a repository, and does so for
// many lives. Before the daemon is started again, clients accept what is on disk, those that come for the first time and
// those that have been there before; after it, they do too, what was answered is so, and the operation can be done.
func TestKill(t *testing.T) {
	r := newRig(t)
	r.hold(onlineTwo)
	_ = r.srv.Close(t.Context())
	p := &process{t: t, dir: filepath.Dir(r.agent), agent: r.agent}
	took, cut := map[string]time.Duration{}, map[string]int{}
	for i := range kills(t) {
		for _, kind := range []string{"bins", "paths"} {
			l := &life{process: p, rig: r, number: fmt.Sprintf("%s of life %d", kind, i), bins: kind == "bins", took: took, cut: cut, home: t.TempDir()}
			p.start()
			l.live()
			p.kill()
			if t.Failed() {
				return
			}
			if err := os.RemoveAll(filepath.Dir(p.metadata(""))); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("killed in the middle of %v", cut)
}

// life is one repository, and what the outside knows of it.
type life struct {
	*process
	rig    *rig
	number string
	bins   bool
	home   string // of a client that comes back
	took   map[string]time.Duration
	cut    map[string]int // how often each operation was not answered
	root   *trust.Root    // published
	there  []string       // artifacts that clients must find
}

func (l *life) now() time.Time { return time.Now().Add(l.ahead) }

// live does every operation once.
func (l *life) live() {
	file, staged := "files/one", "files/two"
	first := l.newRoot(onlineOne, 365)
	l.operate("bootstrap", l.post("POST", "bootstrap", l.bootstrapBody(first)), func() bool { return l.pendingRoot() != nil || l.rootOnDisk() != nil })
	l.sign(first, 2)
	l.sign(first, 3)
	l.operate("add", l.post("POST", "artifacts", addBody(file)), func() bool { return l.finds(file) })
	l.there = append(l.there, file)
	l.operate("stage", l.post("POST", "artifacts", withoutPublishing(addBody(staged))), nil)
	l.operate("publish", l.post("POST", "artifacts/publish", nil), func() bool { return l.finds(staged) })
	l.operate("rm", l.post("POST", "artifacts/delete", map[string]any{"artifacts": []string{staged}}), func() bool { return !l.finds(staged) })
	l.operate("configure", l.post("PUT", "config", map[string]any{"settings": map[string]any{"expiration": map[string]int{"targets": 300}}}), func() bool {
		answer, err := l.send("GET", "config", nil)
		return err == nil && strings.Contains(fmt.Sprint(answer), "targets_expiration:300")
	})
	before := l.timestamp().Version
	l.operate("force", l.post("POST", "metadata/online", map[string]any{"roles": []string{}}), func() bool { return l.timestamp().Version > before })
	if !l.bins {
		l.delegate()
	}
	l.changeRoot()
	l.renew()
}

func (l *life) delegate() {
	d := delegations("dev/*", who(7).key(l.t))
	l.operate("delegate", l.post("POST", "delegations", map[string]any{"delegations": d}), func() bool { return l.pending("Dev_Team") != nil })
	doc, err := trust.ParseTargets(l.pending("Dev_Team"))
	if err != nil {
		l.t.Fatal(err)
	}
	l.operate("sign", l.post("POST", "metadata/sign", l.rig.signature("Dev_Team", doc, 7)), func() bool { return l.delegates("Dev_Team") })
	gone := map[string]any{"delegations": map[string]any{"roles": []any{map[string]any{"name": "Dev_Team"}}}}
	l.operate("undelegate", l.post("POST", "delegations/delete", gone), func() bool { return !l.delegates("Dev_Team") })
}

// changeRoot proposes another online key, replaces that, ends it, proposes it again, and has it signed.
func (l *life) changeRoot() {
	next, other := l.newRoot(onlineTwo, 365), l.newRoot(onlineTwo, 364)
	pending := func(root *trust.Root) func() bool {
		return func() bool { p := l.pendingRoot(); return p != nil && digest(p) == digest(root) }
	}
	l.operate("update", l.post("POST", "metadata", rootBody(next)), pending(next))
	l.operate("override", l.post("PATCH", "metadata/sign", rootBody(other)), pending(other))
	l.operate("cancel", l.post("DELETE", "metadata/sign", map[string]any{"role": "root"}), func() bool { return l.pendingRoot() == nil })
	l.operate("update", l.post("POST", "metadata", rootBody(next)), pending(next))
	l.sign(next, 2)
	l.sign(next, 3)
}

// sign is the signature of one of three who all have to sign.
func (l *life) sign(root *trust.Root, n byte) {
	id := who(n).key(l.t).ID
	l.operate("sign", l.post("POST", "metadata/sign", l.rig.signature("root", root, n)), func() bool {
		doc := l.pendingRoot()
		if doc == nil {
			doc = l.rootOnDisk()
		}
		return doc != nil && digest(doc) == digest(root) && slices.ContainsFunc(doc.Signatures(), func(s trust.Signature) bool { return s.KeyID == id })
	})
	l.root = l.rootOnDisk()
}

// renew is what the timer does half an hour before the timestamp expires.
func (l *life) renew() {
	expires := l.timestamp().Expires
	l.kill()
	l.ahead = time.Until(expires) - 30*time.Minute
	defer func() { l.ahead = 0 }()
	l.start()
	l.operate("renew", func() error {
		c := ipc.NewClient(l.socket(), "a test")
		defer c.Close()
		_, err := trust.Renew.Call(l.t.Context(), c, trust.RenewArgs{})
		return err
	}, func() bool { return l.timestamp().Expires.After(expires) })
}

// operate does something and kills the daemon meanwhile; then, unless it is done, does it again. done is nil if only the
// next operation shows it.
func (l *life) operate(name string, act func() error, done func() bool) {
	l.t.Helper()
	l.awake() // so that what is killed is the operation
	delay := time.Duration(rand.Int64N(int64(cmp.Or(l.took[name], 40*time.Millisecond) * 5 / 4)))
	answered := l.killAfter(delay, act) == nil
	if !answered {
		l.cut[name]++
	}
	when := fmt.Sprintf("%s, killed after %v of %s, answered: %v", l.number, delay, name, answered)
	l.accepts(when)
	l.start()
	l.awake() // a daemon completes what was decided when it opens the repository
	if answered && done != nil && !done() {
		l.t.Fatalf("%s: it was answered and is not done", when)
	}
	if !answered && (done == nil || !done()) {
		started := time.Now()
		if err := act(); err != nil {
			l.t.Fatalf("%s: it cannot be done any more: %v", when, err)
		}
		l.took[name] = time.Since(started)
		if done != nil && !done() {
			l.t.Fatalf("%s: it was done again and is not done", when)
		}
	}
	l.accepts("after the restart: " + when)
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// awake waits for an answer about the repository.
func (l *life) awake() {
	l.t.Helper()
	if _, err := l.send("GET", "bootstrap", nil); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) killAfter(delay time.Duration, act func() error) error {
	victim, dead := l.cmd.Process, make(chan struct{})
	timer := time.AfterFunc(delay, func() {
		defer close(dead)
		_ = victim.Kill()
	})
	err := act()
	if !timer.Stop() {
		<-dead
	}
	l.kill()
	return err
}

// post makes a request that must be answered, and with success.
func (l *life) post(method, path string, body any) func() error {
	return func() error {
		answer, err := l.send(method, path, body)
		if data, ok := answer["data"].(map[string]any); err == nil && (!ok || data["error"] != nil) {
			return fmt.Errorf("%v", answer)
		}
		return err
	}
}

func withoutPublishing(body map[string]any) map[string]any {
	body["publish_artifacts"] = false
	return body
}

func (l *life) bootstrapBody(root *trust.Root) map[string]any {
	if l.bins {
		return bootstrapBody(root, 2)
	}
	body, d := bootstrapBody(root, 0), delegations("files/*", who(onlineOne).key(l.t))
	d["roles"].([]any)[0].(map[string]any)["name"] = "files"
	body["settings"].(map[string]any)["roles"].(map[string]any)["delegations"] = d
	return body
}

// newRoot is the next version, signed by the first of three who all have to sign.
func (l *life) newRoot(online byte, days int) *trust.Root {
	spec := rootSpec{version: 1, signers: []byte{1, 2, 3}, threshold: 3, online: online, days: days}
	if l.root != nil {
		spec.version = l.root.Version() + 1
	}
	l.rig.clock.pass(l.now().Sub(l.rig.clock.Now()))
	return l.rig.signed(l.rig.newRoot(spec), l.root, 1)
}

// pending asks the daemon for what waits for signatures.
func (l *life) pending(role string) []byte {
	l.t.Helper()
	answer, err := l.send("GET", "metadata/sign", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	data, _ := answer["data"].(map[string]any)
	documents, _ := data["metadata"].(map[string]any)
	if documents[role] == nil {
		return nil
	}
	text, err := json.Marshal(documents[role])
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

func (l *life) pendingRoot() *trust.Root {
	l.t.Helper()
	text := l.pending("root")
	if text == nil {
		return nil
	}
	root, err := trust.ParseRoot(text)
	if err != nil {
		l.t.Fatal(err)
	}
	return root
}

func (l *life) read(name string) []byte {
	data, err := os.ReadFile(l.metadata(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return data
}

// rootOnDisk is the newest version that clients can have.
func (l *life) rootOnDisk() (root *trust.Root) {
	for version := int64(1); ; version++ {
		data, err := os.ReadFile(l.metadata(versioned("root", version)))
		if err != nil {
			return root
		}
		if root, err = trust.ParseRoot(data); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *life) timestamp() trust.TimestampSpec {
	spec, err := trust.ParseTimestamp(l.read(timestampFile))
	if err != nil {
		l.t.Fatal(err)
	}
	return spec
}

// delegates reports whether targets, as clients find it, names a role.
func (l *life) delegates(role string) bool {
	snapshot, err := trust.ParseSnapshot(l.read(versioned("snapshot", l.timestamp().Snapshot)))
	if err != nil {
		l.t.Fatal(err)
	}
	targets, err := trust.ParseTargets(l.read(versioned("targets", snapshot.Versions["targets"])))
	if err != nil {
		l.t.Fatal(err)
	}
	_, found := targets.Delegated(role)
	return found
}

// client is go-tuf on what is on disk, without the daemon's help.
func (l *life) client(home string) (*updater.Updater, error) {
	files := http.StripPrefix("/metadata/", http.FileServer(http.Dir(l.metadata(""))))
	return clientAt(home, files, "", l.now())
}

func (l *life) finds(artifact string) bool {
	u, err := l.client("")
	if err != nil {
		l.t.Fatal(err)
	}
	_, err = u.GetTargetInfo(artifact)
	return err == nil
}

// accepts has two clients look: one that comes for the first time, and one that comes back.
func (l *life) accepts(when string) {
	l.t.Helper()
	if _, err := os.Stat(l.metadata(timestampFile)); err != nil {
		if l.root != nil {
			l.t.Errorf("%s: no timestamp", when)
		}
		return
	}
	for _, home := range []string{"", l.home} {
		u, err := l.client(home)
		if err != nil {
			l.t.Errorf("%s: a client that keeps %q refuses: %v", when, home, err)
			return
		}
		for _, artifact := range l.there {
			if _, err := u.GetTargetInfo(artifact); err != nil {
				l.t.Errorf("%s: %s was acknowledged: %v", when, artifact, err)
			}
		}
	}
}
