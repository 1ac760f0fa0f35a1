package trustd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/token"
	"github.com/lnk-suite/lnk/services/trust"
)

// overTCP makes a request as a gateway would pass it on.
func (r *rig) overTCP(method, path string, body any, headers ...string) answer {
	r.t.Helper()
	return r.request(context.WithValue(r.t.Context(), remoteKey{}, "192.0.2.1:5"), method, path, body, headers...)
}

// token returns a token and the header that shows it.
func (r *rig) token(o token.Order) (text string, header []string) {
	r.t.Helper()
	_, text, err := token.Open(r.dirs).Issue(r.t.Context(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	return text, []string{"Authorization", "Bearer " + text}
}

func (r *rig) settings(text string) {
	r.t.Helper()
	if err := errors.Join(os.MkdirAll(r.dirs.Config, 0o700), os.WriteFile(r.dirs.Settings(), []byte(text), 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// left is how many uses of the only token that counts them are left.
func (r *rig) left() int {
	r.t.Helper()
	list, err := token.Open(r.dirs).List(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, t := range list {
		if t.Left != nil {
			return *t.Left
		}
	}
	return 0
}

func trustMethods(names ...string) token.Patterns { return names }

// TestEveryRouteOverTCP: reading is open to everybody, every change demands a token that permits its method.
func TestEveryRouteOverTCP(t *testing.T) {
	r := newRig(t)
	for route, is := range r.srv.routes() {
		method, endpoint, _ := strings.Cut(route, " ")
		m := is.method.Info()
		if (method == http.MethodGet) != (m.Access == ipc.Read) {
			t.Errorf("%s stands for %s, which is a %s", route, m.Name, m.Access)
		}
		a := r.overTCP(method, "/api/v1/"+endpoint+"/", "{}")
		if (method == http.MethodGet) != (a.status != http.StatusUnauthorized) {
			t.Errorf("%s without a token: %d %s", route, a.status, a.text)
		}
		if method == http.MethodGet {
			continue
		}
		if a.header.Get("WWW-Authenticate") != "Bearer" || a.at("detail", "error") != "Failed to validate token" {
			t.Errorf("%s without a token: %v %s", route, a.header, a.text)
		}
		_, other := r.token(token.Order{Methods: trustMethods("git.*"), TTL: time.Hour})
		if a := r.overTCP(method, "/api/v1/"+endpoint, "{}", other...); a.status != http.StatusForbidden ||
			a.at("detail", "error") != "scope '"+m.Name+"' not allowed" || a.header.Get("WWW-Authenticate") != `Bearer error="insufficient_scope", scope="`+m.Name+`"` {
			t.Errorf("%s with the token for another method: %d %v %s", route, a.status, a.header, a.text)
		}
		_, good := r.token(token.Order{Methods: trustMethods(m.Name), TTL: time.Hour})
		if a := r.overTCP(method, "/api/v1/"+endpoint, "{}", good...); a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
			t.Errorf("%s with a token: %d %s", route, a.status, a.text)
		}
		if a := r.http(method, "/api/v1/"+endpoint, "{}"); a.status == http.StatusUnauthorized {
			t.Errorf("%s over the socket: %d %s", route, a.status, a.text)
		}
	}
}

// TestUsesOverTCP: a use is taken by a request whose work begins, and by no other.
func TestUsesOverTCP(t *testing.T) {
	r := newRig(t)
	_, header := r.token(token.Order{Methods: trustMethods("trust.bootstrap", "trust.sign", "trust.publish"), Uses: 3})
	post := func(endpoint string, body any, status, left int) {
		t.Helper()
		if a := r.overTCP("POST", "/api/v1/"+endpoint, body, header...); a.status != status || r.left() != left {
			t.Errorf("POST %s: %d %s, %d uses left; want %d, %d", endpoint, a.status, a.text, r.left(), status, left)
		}
	}
	root := r.signed(r.newRoot(rootSpec{signers: []byte{1, 2}, threshold: 2}), nil, 1)
	post("bootstrap", "{", 422, 3)
	post("bootstrap", map[string]any{"settings": 1}, 422, 3)
	post("nothing", "{}", 404, 3)
	post("bootstrap", bootstrapBody(root, 2), 202, 2)
	post("bootstrap", bootstrapBody(root, 2), 404, 2) // it is begun already
	post("metadata/sign", "{}", 422, 2)
	post("metadata/sign", r.signature("root", root, 2), 202, 1)
	post("artifacts/publish", nil, 202, 0)
	post("artifacts/publish", nil, 401, 0)
	if got := r.http("GET", "/api/v1/bootstrap", nil).at("data", "state"); got != "finished" {
		t.Errorf("the bootstrap is %v", got)
	}
	count := map[string]int{}
	for e, err := range token.Open(r.dirs).Events() {
		if err != nil {
			t.Fatal(err)
		}
		count[e.Event+" "+e.Method+" "+e.Caller]++
	}
	for line, n := range map[string]int{
		"used trust.bootstrap HTTP from 192.0.2.1:5": 1, "used trust.sign HTTP from 192.0.2.1:5": 1, "used trust.publish HTTP from 192.0.2.1:5": 1,
		"refused trust.publish HTTP from 192.0.2.1:5": 1,
	} {
		if count[line] != n {
			t.Errorf("%q is %d times in the log: %v", line, count[line], count)
		}
	}
	for _, record := range r.audited() {
		if !strings.HasSuffix(record.Caller, "HTTP from 192.0.2.1:5") {
			t.Errorf("a signature for %q", record.Caller)
		}
	}
}

// TestBearer: what is no good token is refused as RFC 6750 has it.
func TestBearer(t *testing.T) {
	r, _ := begun(t, 2)
	text, _ := r.token(token.Order{Methods: trustMethods("trust.*"), TTL: time.Hour})
	const invalid = `Bearer error="invalid_token"`
	for value, want := range map[string]string{
		"": "Bearer", "Basic " + text: "Bearer", text: "Bearer", "Bearer": "Bearer", "Bearer ": "Bearer",
		"Bearer junk": invalid, "Bearer " + text + "x": invalid, "Bearer " + text + " " + text: invalid, "Bearer " + text[:len(text)-1] + "g": invalid,
		"Bearer lnk_0123456789abcdef_" + strings.Repeat("0", 64): invalid,
		"Bearer " + text: "", "bearer " + text: "", "BEARER  " + text + " ": "",
	} {
		a := r.overTCP("POST", "/api/v1/artifacts/publish", nil, "Authorization", value)
		if got := a.header.Get("WWW-Authenticate"); got != want || (a.status == http.StatusUnauthorized) != (want != "") {
			t.Errorf("%.60q: %d, %q, want %q", value, a.status, got, want)
		}
	}
	list, err := token.Open(r.dirs).List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := token.Open(r.dirs).Revoke(t.Context(), list[0].ID, "test"); err != nil {
		t.Fatal(err)
	}
	if a := r.overTCP("POST", "/api/v1/artifacts/publish", nil, "Authorization", "Bearer "+text); a.status != http.StatusUnauthorized {
		t.Errorf("a token that was revoked: %d %s", a.status, a.text)
	}
}

// TestDemandsOverHTTP: what the settings demand holds over the socket as well, and for reading too.
func TestDemandsOverHTTP(t *testing.T) {
	r, _ := begun(t, 2)
	r.settings("[tokens]\nrequire = [\"trust.publish\", \"trust.show\"]\n")
	_, header := r.token(token.Order{Methods: trustMethods("trust.*"), Uses: 3})
	for i, step := range []struct {
		method, endpoint string
		headers          []string
		status, left     int
	}{
		{"POST", "artifacts/publish", nil, 401, 3}, {"GET", "metadata/sign", nil, 401, 3}, {"GET", "bootstrap", nil, 200, 3}, {"GET", "bootstrap", header, 200, 3},
		{"GET", "metadata/sign", header, 200, 2}, {"POST", "artifacts/publish", header, 202, 1}, {"POST", "metadata/online", header, 422, 1},
		{"GET", "metadata/sign", header, 200, 0}, {"GET", "metadata/sign", header, 401, 0},
	} {
		if a := r.http(step.method, "/api/v1/"+step.endpoint, nil, step.headers...); a.status != step.status || r.left() != step.left {
			t.Errorf("step %d, %s %s: %d %s, %d uses left; want %+v", i, step.method, step.endpoint, a.status, a.text, r.left(), step)
		}
	}
	r.settings("[tokens]\ndemand = []\n")
	for _, ask := range []func(method, path string, body any, headers ...string) answer{r.http, r.overTCP} {
		if a := ask("POST", "/api/v1/artifacts/publish", nil, header...); a.status != http.StatusServiceUnavailable || strings.Contains(a.text, r.dirs.Config) {
			t.Errorf("settings that make no sense: %d %s", a.status, a.text)
		}
	}
	if a := r.overTCP("GET", "/metadata/1.root.json", nil); a.status != http.StatusOK {
		t.Errorf("published metadata: %d %s", a.status, a.text)
	}
}

// TestDemandsOverCBOR: the same, and the settings are those of the daemon's user.
func TestDemandsOverCBOR(t *testing.T) {
	r, _ := begun(t, 2)
	r.settings("[tokens]\nrequire = [\"trust.publish\"]\n")
	text, _ := r.token(token.Order{Methods: trustMethods("trust.publish"), Uses: 1})
	client := ipc.NewClient(r.listen(), "test")
	defer client.Close()
	client.Token = []byte(text)
	for _, want := range []ipc.Code{0, ipc.PermissionDenied} {
		if _, err := trust.Publish.Call(t.Context(), client, trust.RepositoryArgs{}); ipc.CodeOf(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
		if _, err := trust.Status.Call(t.Context(), client, trust.RepositoryArgs{}); err != nil {
			t.Errorf("a method that demands nothing: %v", err)
		}
	}
}

// TestOneUseManyRequests: of many requests that show a token for one use at once, one is done.
func TestOneUseManyRequests(t *testing.T) {
	const requests = 20
	r, _ := begun(t, 2)
	_, header := r.token(token.Order{Methods: trustMethods("trust.publish"), Uses: 1})
	answers := make([]answer, requests)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = r.overTCP("POST", "/api/v1/artifacts/publish", nil, header...) })
	}
	group.Wait()
	count := map[int]int{}
	for _, a := range answers {
		count[a.status]++
	}
	if fmt.Sprint(count) != fmt.Sprint(map[int]int{202: 1, 401: requests - 1}) {
		t.Errorf("answers by status: %v", count)
	}
}
