package trustd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/trust"
)

// listen serves the rig's server on its socket.
func (r *rig) listen() string {
	r.t.Helper()
	path := r.dirs.Socket("trust", "")
	l, err := activate.Bind(path)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- (&activate.Server{Handle: r.srv.Serve, Activity: r.srv.activity}).Serve(ctx, l)
	}()
	r.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	return path
}

// raw sends text and returns the whole answer.
func exchange(t *testing.T, path, text string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(bufio.NewReader(c))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// TestOneSocket: CBOR and HTTP are told apart by the first byte, and callers over TCP by the gateway's announcement.
func TestOneSocket(t *testing.T) {
	r := newRig(t)
	path := r.listen()
	client := ipc.NewClient(path, "test")
	defer client.Close()
	if got, err := trust.Repositories.Call(t.Context(), client, ipc.Empty{}); err != nil || len(got.Repositories) != 0 {
		t.Error(got, err)
	}
	const get = "GET /api/v1/bootstrap/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	const post = "POST /api/v1/artifacts/publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	const gateway = "PROXY TCP4 127.0.0.1 127.0.0.1 1234 8080\r\n"
	for text, want := range map[string]string{
		get: "HTTP/1.1 200 OK", post: "HTTP/1.1 202 Accepted", gateway + get: "HTTP/1.1 200 OK", gateway + post: "HTTP/1.1 401 Unauthorized",
		"garbage\r\n\r\n": "HTTP/1.1 400", gateway + "\x00\x00\x00\x1f\xa2\x00": "", "PROXY me\r\n": "", "PROXY " + strings.Repeat("x", 200) + "\r\n" + get: "",
	} {
		if got := exchange(t, path, text); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%.30q: %.60q, want %q", text, got, want)
		}
	}
}

// TestLeavesIdleConnections: clients that keep a connection for later do not keep the daemon, and hear that it has left.
func TestLeavesIdleConnections(t *testing.T) {
	r := newRig(t)
	path := r.dirs.Socket("trust", "")
	l, err := activate.Bind(path)
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error, 1)
	r.srv.activity.Add(1) // the daemon stays until both have their answers
	server := activate.Server{Handle: r.srv.Serve, Activity: r.srv.activity, Idle: time.Millisecond, Grace: time.Hour}
	go func() { left <- server.Serve(t.Context(), l) }()
	for _, announced := range []string{"", "PROXY TCP4 127.0.0.1 127.0.0.1 1234 8080\r\n"} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, announced+sayGet); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != http.StatusOK || answer.Close {
			t.Fatal(answer, err)
		}
	}
	r.srv.activity.Add(-1)
	if err := <-left; err != nil {
		t.Error(err)
	}
}

// TestNewTimestampIsNews: a cache that asks for what is newer than what it has gets the timestamp, however fast the next came. What
// never changes it need not get again.
func TestNewTimestampIsNews(t *testing.T) {
	r, _ := begun(t, 2)
	since := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for file, want := range map[string]int{"/metadata/timestamp.json": http.StatusOK, "/metadata/1.root.json": http.StatusNotModified} {
		if a := r.http("GET", file, nil, "If-Modified-Since", since); a.status != want {
			t.Errorf("%s: %d, want %d", file, a.status, want)
		}
	}
}

// artifacts returns what trustd lists.
func artifacts(t *testing.T, client *ipc.Client, repository string) (all []trust.Artifact) {
	t.Helper()
	for one, err := range trust.Artifacts.Call(t.Context(), client, trust.RepositoryArgs{Repository: repository}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// TestManyArtifacts lists more than one message of the wire can hold.
func TestManyArtifacts(t *testing.T) {
	r, _ := begun(t, 64)
	client := ipc.NewClient(r.listen(), "test")
	defer client.Close()
	const messages, each = 2, 120
	custom := []byte(`{"note":"` + strings.Repeat("x", 20<<10) + `"}`)
	for m := range messages {
		var batch []trust.Artifact
		for i := range each {
			batch = append(batch, trust.Artifact{Path: fmt.Sprintf("%d/%d", i, m), Hashes: map[string]string{"sha256": strings.Repeat("0", 64)}, Custom: custom})
		}
		if _, err := trust.Add.Call(t.Context(), client, trust.AddArgs{Artifacts: batch}); err != nil {
			t.Fatal(err)
		}
	}
	list := artifacts(t, client, "")
	if len(list) != messages*each || !slices.IsSortedFunc(list, func(a, b trust.Artifact) int { return strings.Compare(a.Path, b.Path) }) {
		t.Errorf("%d artifacts, want %d, sorted by path", len(list), messages*each)
	}
}

// TestMethods uses the repository over CBOR: everything that HTTP can do.
func TestMethods(t *testing.T) {
	r := newRig(t)
	client := ipc.NewClient(r.listen(), "test")
	defer client.Close()
	ctx := t.Context()
	const name = "second"
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	days := map[string]int{"root": 365, "targets": 365, "snapshot": 1, "timestamp": 1, "bins": 1}
	if _, err := trust.Status.Call(ctx, client, trust.RepositoryArgs{Repository: name}); ipc.CodeOf(err) != ipc.NotFound || ipc.HintOf(err) == "" {
		t.Error(err)
	}
	begun, err := trust.Bootstrap.Call(ctx, client, trust.BootstrapArgs{Repository: name, Root: root.Bytes(), Expiration: days, Bins: 4})
	if err != nil || begun.Complete || begun.Digest != digest(root) {
		t.Fatal(begun, err)
	}
	shown, err := trust.Show.Call(ctx, client, trust.RoleArgs{Repository: name})
	if err != nil || len(shown.Pending.Signers) != 2 || !shown.Pending.Signers[0].Signed || shown.Pending.Signers[1].Signed || string(shown.Metadata) == "" {
		t.Fatal(shown, err)
	}
	sig, _ := who(2).Sign(ctx, root.Payload())
	done, err := trust.AddTo.Call(ctx, client, trust.SignArgs{Repository: name, KeyID: who(2).key(t).ID, Signature: sig})
	if err != nil || !done.Complete {
		t.Fatal(done, err)
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("foo"), 0o600); err != nil {
		t.Fatal(err)
	}
	added, err := trust.Add.Call(ctx, client, trust.AddArgs{Repository: name, Artifacts: []trust.Artifact{{Path: "dir/foo", File: file, Custom: []byte(`{"a":1}`)}}})
	if err != nil || fmt.Sprint(added.Done) != "[dir/foo]" {
		t.Fatal(added, err)
	}
	u, err := r.client("/repositories/" + name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := u.GetTargetInfo("dir/foo")
	if err != nil {
		t.Fatal(err)
	}
	if _, data, err := u.DownloadTarget(info, filepath.Join(t.TempDir(), "out"), "http://repo/repositories/"+name+"/targets/"); err != nil || string(data) != "foo" {
		t.Errorf("%q, %v", data, err)
	}
	if list := artifacts(t, client, name); len(list) != 1 || list[0].Length != 3 {
		t.Error(list)
	}
	status, err := trust.Status.Call(ctx, client, trust.RepositoryArgs{Repository: name})
	if err != nil || status.State != "finished" || len(status.Roles) != 5 || len(status.Pending) != 0 {
		t.Errorf("%+v, %v", status, err)
	}
	next := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2, 3}, threshold: 2}), root, 1)
	if got, err := trust.Update.Call(ctx, client, trust.UpdateArgs{Repository: name, Root: next.Bytes()}); err != nil || got.Complete || got.Version != 2 {
		t.Error(got, err)
	}
	other := r.signed(r.newRoot(rootSpec{version: 2, signers: []byte{1, 2, 4}, threshold: 2}), root, 1)
	if _, err := trust.Override.Call(ctx, client, trust.OverrideArgs{Repository: name, Metadata: other.Bytes(), Match: digest(other)}); ipc.CodeOf(err) != ipc.Conflict {
		t.Error(err)
	}
	if got, err := trust.Override.Call(ctx, client, trust.OverrideArgs{Repository: name, Metadata: other.Bytes(), Match: digest(next)}); err != nil || got.Digest != digest(other) {
		t.Error(got, err)
	}
	if _, err := trust.Cancel.Call(ctx, client, trust.CancelArgs{Repository: name}); err != nil {
		t.Error(err)
	}
	if got, err := trust.Configure.Call(ctx, client, trust.ConfigureArgs{Repository: name, Expiration: map[string]int{"bins": 3, "x": 1}}); err != nil || fmt.Sprint(got.Refused) != "[x]" {
		t.Error(got, err)
	}
	if _, err := trust.Force.Call(ctx, client, trust.ForceArgs{Repository: name, Roles: []string{"timestamp"}}); err != nil {
		t.Error(err)
	}
	if got, err := trust.Remove.Call(ctx, client, trust.RemoveArgs{Repository: name, Paths: []string{"dir/foo"}, Stage: true}); err != nil || got.Complete {
		t.Error(got, err)
	}
	if _, err := trust.Publish.Call(ctx, client, trust.RepositoryArgs{Repository: name}); err != nil {
		t.Error(err)
	}
	if list := artifacts(t, client, name); len(list) != 0 {
		t.Error(list)
	}
	if _, err := trust.Delegate.Call(ctx, client, trust.DelegateArgs{Repository: name, Delegations: []trust.Delegation{{Name: "a", Paths: []string{"*"}}}}); ipc.CodeOf(err) != ipc.Conflict {
		t.Error(err)
	}
	if got, err := trust.Undelegate.Call(ctx, client, trust.UndelegateArgs{Repository: name, Roles: []string{"a"}}); err != nil || fmt.Sprint(got.Refused) != "[a]" {
		t.Error(got, err)
	}
	if _, err := trust.Renew.Call(ctx, client, trust.RenewArgs{}); err != nil {
		t.Error(err)
	}
	if list, err := trust.Repositories.Call(ctx, client, ipc.Empty{}); err != nil || fmt.Sprint(list.Repositories) != "[second]" {
		t.Error(list, err)
	}
	if _, err := trust.Status.Call(ctx, client, trust.RepositoryArgs{Repository: "../x"}); ipc.CodeOf(err) != ipc.BadRequest {
		t.Error(err)
	}
}

// TestValidation: what does not fit is answered with 422, as the API documents it, and changes nothing.
func TestValidation(t *testing.T) {
	r := newRig(t)
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1}}), nil, 1)
	with := func(change func(roles map[string]any)) map[string]any {
		b := bootstrapBody(root, 4)
		change(b["settings"].(map[string]any)["roles"].(map[string]any))
		return b
	}
	bins := func(n any) map[string]any {
		return with(func(roles map[string]any) {
			roles["bins"] = map[string]any{"expiration": 1, "number_of_delegated_bins": n}
		})
	}
	for why, test := range map[string]struct {
		body any
		want string
	}{
		"no JSON":       {"{", `"json_invalid"`},
		"no settings":   {map[string]any{"metadata": map[string]any{}}, `"loc":["body","settings"],"msg":"Field required"`},
		"no metadata":   {map[string]any{"settings": map[string]any{}}, `"loc":["body","metadata"],"msg":"Field required"`},
		"other role":    {map[string]any{"settings": bootstrapBody(root, 4)["settings"], "metadata": map[string]any{"timestamp": raw(root)}}, `"literal_error"`},
		"neither":       {bootstrapBody(root, 0), "Exactly one of 'bins' and 'delegations' must be set"},
		"both":          {with(func(roles map[string]any) { roles["delegations"] = delegations("a", who(onlineOne).key(t)) }), "Exactly one of 'bins' and 'delegations' must be set"},
		"no days":       {with(func(roles map[string]any) { roles["root"] = map[string]any{"expiration": 0} }), "greater than or equal to 1"},
		"no timestamp":  {with(func(roles map[string]any) { delete(roles, "timestamp") }), `"timestamp"],"msg":"Field required"`},
		"one bin":       {bins(1), "number_of_delegated_bins"},
		"too many bins": {bins(16385), "number_of_delegated_bins"},
		"odd bins":      {bins(6), "power of two"},
		"text for bins": {bins("4"), "value_error"},
	} {
		if a := r.http("POST", "/api/v1/bootstrap/", test.body); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.text, test.want) {
			t.Errorf("%s: %d %s", why, a.status, a.text)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dirs.State, "trust")); err == nil {
		t.Error("something was made")
	}
	for request, want := range map[string]int{
		"GET /api/v1/task": 422, "GET /api/v1/nothing": 404, "PUT /api/v1/bootstrap": 405, "GET /": 404, "GET /metadata/../state.json": 404,
		"GET /metadata/": 404, "GET /metadata/.tmp-1": 404, "DELETE /metadata/1.root.json": 405, "GET /repositories/..%2fx/metadata/1.root.json": 404,
		"GET /targets/none": 404,
	} {
		method, path, _ := strings.Cut(request, " ")
		if a := r.http(method, path, nil); a.status != want {
			t.Errorf("%s: %d, want %d", request, a.status, want)
		}
	}
	if a := r.http("GET", "/api/v1/task/?task_id=../../state", nil); a.status != 200 || a.at("data", "state") != "PENDING" {
		t.Error(a)
	}
}
