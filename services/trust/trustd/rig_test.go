package trustd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
	"golang.org/x/crypto/ssh/agent"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/token"
	"github.com/lnk-suite/lnk/services/trust"
)

// person is a key in memory.
type person struct{ ed25519.PrivateKey }

func (p person) PublicKey() ed25519.PublicKey { return p.Public().(ed25519.PublicKey) }

func (p person) Sign(_ context.Context, msg []byte) ([]byte, error) {
	return ed25519.Sign(p.PrivateKey, msg), nil
}

func who(n byte) person { return person{ed25519.NewKeyFromSeed(slices.Repeat([]byte{n}, 32))} }

func (p person) key(t testing.TB) trust.Key {
	k, err := trust.NewKey(p.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a server with an agent that holds online keys.
type rig struct {
	t     testing.TB
	dirs  profile.Dirs
	clock *clock
	ring  agent.Agent
	agent string
	srv   *Server
}

// onlineOne and onlineTwo are the numbers of the online keys.
const onlineOne, onlineTwo = 100, 101

func newRig(t testing.TB) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &rig{
		t: t, clock: &clock{now: time.Now().UTC().Truncate(time.Second)}, agent: filepath.Join(dir, "a"),
		dirs: profile.Dirs{Config: dir + "/c", State: dir + "/s", Data: dir + "/d", Runtime: dir + "/r"},
	}
	r.ring = serveAgent(t, r.agent)
	r.hold(onlineOne)
	r.start()
	return r
}

func serveAgent(t testing.TB, path string) agent.Agent {
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ring := agent.NewKeyring()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = agent.ServeAgent(ring, c)
			}()
		}
	}()
	return ring
}

func (r *rig) hold(n byte) {
	if err := r.ring.Add(agent.AddedKey{PrivateKey: who(n).PrivateKey}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) start() {
	r.t.Helper()
	env := daemon.Env{Log: slog.New(slog.DiscardHandler), Dirs: r.dirs, Activity: new(activate.Activity), Tokens: token.NewGuard(r.dirs), Getenv: r.getenv}
	ctx, cancel := context.WithCancel(context.Background())
	r.srv = New(ctx, Config{Env: env, Now: r.clock.Now})
	srv := r.srv
	r.t.Cleanup(func() {
		_ = srv.Close(ctx)
		cancel()
	})
}

func (r *rig) getenv(name string) string {
	if name == AgentVariable {
		return r.agent
	}
	return ""
}

// restart is a new process on the same state.
func (r *rig) restart() {
	_ = r.srv.Close(r.t.Context())
	r.start()
}

// rootSpec is a root document to be.
type rootSpec struct {
	version   int64
	threshold int
	signers   []byte
	online    byte
	days      int
	change    func(*trust.RootSpec)
}

func (r *rig) newRoot(s rootSpec) *trust.Root {
	r.t.Helper()
	quorum := trust.Role{Threshold: max(s.threshold, 1)}
	for _, n := range s.signers {
		quorum.Keys = append(quorum.Keys, who(n).key(r.t))
	}
	if s.online == 0 {
		s.online = onlineOne
	}
	if s.days == 0 {
		s.days = 365
	}
	online := trust.Role{Threshold: 1, Keys: []trust.Key{who(s.online).key(r.t)}}
	spec := trust.RootSpec{
		Version: max(s.version, 1), Expires: r.clock.Now().AddDate(0, 0, s.days), Snapshot: true,
		Roles: map[string]trust.Role{trust.RoleRoot: quorum, trust.RoleTargets: online, trust.RoleSnapshot: online, trust.RoleTimestamp: online},
	}
	if s.change != nil {
		s.change(&spec)
	}
	root, err := trust.NewRoot(spec)
	if err != nil {
		r.t.Fatal(err)
	}
	return root
}

func (r *rig) signed(root, previous *trust.Root, who_ ...byte) *trust.Root {
	r.t.Helper()
	for _, n := range who_ {
		var err error
		if root, err = trust.SignRoot(r.t.Context(), who(n), root, previous); err != nil {
			r.t.Fatal(err)
		}
	}
	return root
}

// answer is what an HTTP request got.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// at returns a member of a member of …
func (a answer) at(path ...string) any {
	var v any = a.body
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (r *rig) http(method, path string, body any, headers ...string) answer {
	r.t.Helper()
	return r.request(r.t.Context(), method, path, body, headers...)
}

func (r *rig) request(ctx context.Context, method, path string, body any, headers ...string) answer {
	r.t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	default:
		var err error
		if data, err = json.Marshal(b); err != nil {
			r.t.Fatal(err)
		}
	}
	q := httptest.NewRequestWithContext(ctx, method, path, bytes.NewReader(data))
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.srv.web.ServeHTTP(w, q)
	a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	if strings.HasPrefix(a.text, "{") {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			r.t.Fatal(err)
		}
	}
	return a
}

// do makes a request that must be accepted and returns its task.
func (r *rig) do(method, path string, body any, headers ...string) map[string]any {
	r.t.Helper()
	a := r.http(method, "/api/v1/"+path, body, headers...)
	if a.status != http.StatusAccepted {
		r.t.Fatalf("%s %s: %d %s", method, path, a.status, a.text)
	}
	id, _ := a.at("data", "task_id").(string)
	state := r.http("GET", "/api/v1/task/?task_id="+id, nil)
	if state.status != 200 || state.at("message") != "Task state." || state.at("data", "task_id") != id {
		r.t.Fatalf("task %s: %d %s", id, state.status, state.text)
	}
	result, _ := state.at("data", "result").(map[string]any)
	result["state"] = state.at("data", "state")
	return result
}

// ok is do for what must succeed.
func (r *rig) ok(method, path string, body any, headers ...string) map[string]any {
	r.t.Helper()
	result := r.do(method, path, body, headers...)
	if result["state"] != "SUCCESS" || result["status"] != true {
		r.t.Fatalf("%s %s: %v", method, path, result)
	}
	return result
}

// errored is do for what must fail, and returns why.
func (r *rig) errored(method, path string, body any) string {
	r.t.Helper()
	result := r.do(method, path, body)
	if result["state"] != "ERRORED" || result["status"] != false {
		r.t.Fatalf("%s %s: %v", method, path, result)
	}
	text, _ := result["error"].(string)
	return text
}

func raw(doc trust.Document) json.RawMessage { return doc.Bytes() }

func bootstrapBody(root trust.Document, bins int) map[string]any {
	days := map[string]any{"expiration": 365}
	day := map[string]any{"expiration": 1}
	roles := map[string]any{"root": days, "targets": days, "snapshot": day, "timestamp": day, "delegations": nil}
	if bins > 0 {
		roles["bins"] = map[string]any{"expiration": 1, "number_of_delegated_bins": bins}
	}
	return map[string]any{"settings": map[string]any{"roles": roles}, "metadata": map[string]any{"root": raw(root)}, "timeout": 300}
}

func rootBody(root trust.Document) map[string]any {
	return map[string]any{"metadata": map[string]any{"root": raw(root)}}
}

// signature is the body with which n signs what is pending for role.
func (r *rig) signature(role string, doc trust.Document, n byte) map[string]any {
	sig := ed25519.Sign(who(n).PrivateKey, doc.Payload())
	return map[string]any{"role": role, "signature": map[string]any{"keyid": who(n).key(r.t).ID, "sig": hex.EncodeToString(sig)}}
}

// begun is a rig whose default repository is published, with one signer of root, number 1.
func begun(t testing.TB, bins int) (*rig, *trust.Root) {
	t.Helper()
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1}}), nil, 1)
	r.ok("POST", "bootstrap/", bootstrapBody(root, bins))
	return r, root
}

// peer is how others call a person's key.
func (r *rig) peer(n byte) peer.ID {
	id, err := peer.FromPublicKey(who(n).PublicKey())
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// signAs has people sign what is pending for a role, and published when the last has.
func (r *rig) signAs(role string, people ...byte) {
	r.t.Helper()
	for _, n := range people {
		var doc trust.Document
		r.look(func(repo *repository) { doc = repo.drafts[role] })
		r.ok("POST", "metadata/sign", r.signature(role, doc, n))
	}
	r.look(func(repo *repository) {
		if repo.drafts[role] != nil {
			r.t.Errorf("%s is not published", role)
		}
	})
}

const fooSum = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

func artifact(path string) map[string]any {
	return map[string]any{"path": path, "info": map[string]any{"length": 3, "hashes": map[string]any{"sha256": fooSum}, "custom": map[string]any{"k": "v"}}}
}

func addBody(paths ...string) map[string]any {
	list := []any{}
	for _, p := range paths {
		list = append(list, artifact(p))
	}
	return map[string]any{"artifacts": list}
}

// local lets go-tuf fetch from the server without a network.
type local struct{ srv http.Handler }

// DownloadFile implements fetcher.Fetcher.
func (l local) DownloadFile(url string, limit int64, _ time.Duration) ([]byte, error) {
	w := httptest.NewRecorder()
	l.srv.ServeHTTP(w, httptest.NewRequest("GET", strings.TrimPrefix(url, "http://repo"), nil))
	if w.Code != http.StatusOK {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: w.Code, URL: url}
	}
	if int64(w.Body.Len()) > limit {
		return nil, fmt.Errorf("%s is too long", url)
	}
	return w.Body.Bytes(), nil
}

// client is an unmodified go-tuf with the first root.
func (r *rig) client(prefix string) (*updater.Updater, error) {
	return clientOf(r.srv.web, prefix, r.clock.Now())
}

func clientOf(h http.Handler, prefix string, now time.Time) (*updater.Updater, error) {
	return clientAt("", h, prefix, now)
}

// clientAt is a client that keeps what it has seen in a folder, unless home is empty.
func clientAt(home string, h http.Handler, prefix string, now time.Time) (*updater.Updater, error) {
	l := local{h}
	first, err := l.DownloadFile("http://repo"+prefix+"/metadata/1.root.json", 1<<20, 0)
	if err != nil {
		return nil, err
	}
	cfg, err := config.New("http://repo"+prefix+"/metadata/", first)
	if err != nil {
		return nil, err
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir, cfg.DisableLocalCache = home, home, home == ""
	cfg.Fetcher, cfg.MaxRootRotations = l, 10000
	u, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	u.UnsafeSetRefTime(now)
	return u, u.Refresh()
}

// accepts checks that clients take the repository and find the artifacts.
func (r *rig) accepts(artifacts ...string) {
	r.t.Helper()
	u, err := r.client("")
	if err != nil {
		r.t.Fatalf("a client refuses: %v", err)
	}
	for _, path := range artifacts {
		info, err := u.GetTargetInfo(path)
		if err != nil || info.Length != 3 {
			r.t.Errorf("%s: %+v, %v", path, info, err)
		}
	}
}

// repository looks inside.
func (r *rig) look(f func(*repository)) {
	r.t.Helper()
	if err := r.srv.with(r.t.Context(), "", true, func(repo *repository) error { f(repo); return nil }); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) audited() []keys.AuditRecord {
	data, _ := os.ReadFile(r.dirs.AuditLog())
	var list []keys.AuditRecord
	for line := range strings.Lines(string(data)) {
		var one keys.AuditRecord
		if json.Unmarshal([]byte(line), &one) == nil {
			list = append(list, one)
		}
	}
	return list
}

func (r *rig) rootNow() (root *trust.Root) {
	r.look(func(repo *repository) { root = repo.root })
	return root
}

func personOf(seed []byte) person { return person{ed25519.NewKeyFromSeed(seed)} }
