package trustd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/daemon"
)

// asDaemon, in the environment, makes this test binary the daemon; its value is by how much the daemon's clock is ahead.
const asDaemon = "LNK_TEST_DAEMON"

// TestMain makes this test binary lnk-trustd when a test starts it as that.
func TestMain(m *testing.M) {
	ahead, err := time.ParseDuration(os.Getenv(asDaemon))
	if err != nil {
		os.Exit(m.Run())
	}
	os.Exit(daemon.Main(daemon.Spec{Program: "lnk-trustd", Service: "trust", Start: func(ctx context.Context, env daemon.Env) (daemon.Service, error) {
		return New(ctx, Config{Env: env, Now: func() time.Time { return time.Now().Add(ahead) }}), nil
	}}))
}

// process is the daemon as a process of its own, started as a service manager does.
type process struct {
	t       testing.TB
	dir     string        // of everything: the socket, the state
	agent   string        // the socket of the agent with the online keys
	program string        // empty: this test binary
	ahead   time.Duration // of the clock, if it is this test binary
	cmd     *exec.Cmd
	http    *http.Client
}

func (p *process) socket() string { return filepath.Join(p.dir, "radicle", "trust.sock") }

// start gives a new process a new socket. Calls may be made at once: they wait until it is there.
func (p *process) start() {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.socket()), 0o700); err != nil {
		p.t.Fatal(err)
	}
	_ = os.Remove(p.socket())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.socket(), Net: "unix"})
	if err != nil {
		p.t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	socket, err := l.File()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, cmp.Or(p.program, os.Args[0]))
	p.cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=trust", asDaemon+"="+p.ahead.String(), "GORACE=atexit_sleep_ms=0",
		"LNK_HOME="+p.dir, "XDG_RUNTIME_DIR="+p.dir, AgentVariable+"="+p.agent, "SSH_AUTH_SOCK=")
	p.cmd.ExtraFiles = []*os.File{socket}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	_, _ = socket.Close(), l.Close() // the process has it, and nobody else: when it ends, callers are told
	p.http = &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", p.socket())
	}}}
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.http.CloseIdleConnections()
}

// send makes a request; the error says that the daemon did not answer.
func (p *process) send(method, path string, body any) (map[string]any, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequest(method, "http://trust/api/v1/"+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	a, err := p.http.Do(q)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	var answer map[string]any
	return answer, json.NewDecoder(a.Body).Decode(&answer)
}

// do is send for what must succeed.
func (p *process) do(method, path string, body any) {
	p.t.Helper()
	answer, err := p.send(method, path, body)
	data, ok := answer["data"].(map[string]any)
	if err != nil || !ok || data["error"] != nil {
		p.t.Fatalf("%s %s: %v, %v", method, path, answer, err)
	}
}

// metadata is the path of a published file.
func (p *process) metadata(name string) string {
	return filepath.Join(p.dir, "state", "trust", "default", "metadata", name)
}

// memory reads a line of the process's status: "VmHWM" is the most memory that it has had resident so far, in MiB.
func (p *process) memory(name string) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skip("this system does not tell how much memory a process has had:", err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			var kib float64
			fmt.Sscan(value, &kib)
			return kib / 1024
		}
	}
	return 0
}
