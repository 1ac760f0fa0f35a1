package units

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

// A rig is what a scenario works with: the user's manager, with the units installed.
type rig struct {
	*Manager
	dirs   profile.Dirs
	config Config
}

func newRig(t *testing.T) *rig {
	m, err := NewManager(os.Environ(), false)
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := profile.NewDirs(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Manager: m, dirs: dirs, config: Config{Programs: "/run/lnk/bin", Dirs: dirs}}
}

// newPeer returns the id of a key that nobody has. Each scenario takes its own, so that none meets another's daemon.
func newPeer(t *testing.T, n byte) peer.ID {
	t.Helper()
	key := make([]byte, 32)
	key[0] = n
	id, err := peer.FromPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// peer gives a scenario a git daemon of its own.
func (r *rig) peer(t *testing.T, n byte, settings ...string) (peer.ID, string) {
	t.Helper()
	id := newPeer(t, n)
	for _, s := range settings {
		r.dropIn(t, "lnk-gitd@"+string(id), s)
	}
	r.do(t, "daemon-reload")
	if err := r.Enable(t.Context(), []peer.ID{id}); err != nil {
		t.Fatal(err)
	}
	return id, r.dirs.Socket("gitd", id)
}

// dropIn overrides settings of a unit: "service idle" is a file idle.conf for the service.
func (r *rig) dropIn(t *testing.T, stem, text string) {
	t.Helper()
	kind := "service"
	if strings.HasPrefix(text, "[Socket]") {
		kind = "socket"
	}
	dir := filepath.Join(r.Folder, "user", stem+"."+kind+".d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rig.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.systemctl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// show returns properties of a unit.
func (r *rig) show(t *testing.T, unit string, properties ...string) map[string]string {
	t.Helper()
	return parseShow(r.do(t, "show", "--property="+strings.Join(properties, ","), unit))[0]
}

// expect waits until a unit has the properties, each "Name=value".
func (r *rig) expect(t *testing.T, unit string, want ...string) {
	t.Helper()
	var names []string
	for _, w := range want {
		name, _, _ := strings.Cut(w, "=")
		names = append(names, name)
	}
	var last string
	eventually(t, func() bool {
		got := r.show(t, unit, names...)
		last = fmt.Sprint(got)
		for _, w := range want {
			name, value, _ := strings.Cut(w, "=")
			if got[name] != value {
				return false
			}
		}
		return true
	}, func() string { return fmt.Sprintf("%s has %s, want %v", unit, last, want) })
}

// patience is for machines that have other things to do.
const patience = time.Minute

// eventually polls a condition: the manager works at its own pace.
func eventually(t *testing.T, done func() bool, complaint func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatal(complaint())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ask makes one request on a connection of its own and returns the process that answered.
func ask(ctx context.Context, socket string) (pid uint64, err error) {
	c := ipc.NewClient(socket, "lnk-rig")
	defer func() { err = errors.Join(err, c.Close()) }()
	report, err := ipc.Health.Call(ctx, c, ipc.Empty{})
	return report.PID, err
}

func mustAsk(t *testing.T, socket string) uint64 {
	t.Helper()
	pid, err := ask(t.Context(), socket)
	if err != nil {
		t.Fatalf("no answer at %s: %v", socket, err)
	}
	return pid
}

// greet waits for the bus to say hello, which a NATS server does first.
func (r *rig) greet(t *testing.T) {
	t.Helper()
	c, err := net.Dial("unix", r.dirs.Socket("bus", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	hello := make([]byte, 5)
	if _, err := io.ReadFull(c, hello); err != nil || string(hello) != "INFO " {
		t.Fatalf("the bus says %q, %v, want INFO", hello, err)
	}
}

func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, e.String())
	}
	return o.String(), e.String()
}
