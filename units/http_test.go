package units

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// testHTTP: trustd is reached over TCP by those who enable that, for reading; a change needs a token. An update of the units
// leaves it enabled.
func (r *rig) testHTTP(t *testing.T) {
	const socket = "lnk-trustd-http.socket"
	r.expect(t, socket, "ActiveState=inactive", "UnitFileState=disabled")
	address := freeAddress(t)
	r.dropIn(t, "lnk-trustd-http", "[Socket]\nListenStream=\nListenStream="+address+"\n")
	r.dropIn(t, "lnk-trustd", "[Service]\nExecStart=\nExecStart=/run/lnk/bin/lnk-trustd --idle=200ms\n")
	r.do(t, "daemon-reload")
	r.do(t, "enable", "--now", socket)
	if got := r.status(t, "trustd-http"); got.State != Sleeping || got.Socket != address {
		t.Errorf("Status = %+v, want %s at %s", got, Sleeping, address)
	}
	for range 2 { // the second time, trustd has left meanwhile
		expectStatus(t, http.MethodGet, "http://"+address+"/api/v1/bootstrap/", http.StatusOK)
		expectStatus(t, http.MethodPost, "http://"+address+"/api/v1/artifacts/publish/", http.StatusUnauthorized)
		r.expect(t, "lnk-trustd.service", "ActiveState=inactive", "Result=success")
	}
	changed := r.config
	changed.Environment = []string{"LNK_TEST=http"}
	for _, c := range []Config{changed, r.config} {
		if err := r.Install(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		expectStatus(t, http.MethodGet, "http://"+address+"/api/v1/bootstrap/", http.StatusOK)
	}
	r.do(t, "revert", "lnk-trustd.service")
	r.do(t, "disable", "--now", socket)
}

// freeAddress returns a loopback address where nobody listens. The rig has no network of its own.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func expectStatus(t *testing.T, method, url string, want int) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	answer, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != want {
		t.Errorf("%s %s: %s, want %d", method, strings.TrimPrefix(url, "http://"), answer.Status, want)
	}
}
