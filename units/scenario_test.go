package units

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// runScenarios runs what must hold below a real systemd. The order matters only at both ends: install, uninstall.
func runScenarios(t *testing.T) {
	r := newRig(t)
	t.Run("install", r.testInstall)
	t.Run("preset", r.testPreset)
	t.Run("verify", r.testVerify)
	t.Run("permissions", r.testPermissions)
	t.Run("hardening", r.testHardening)
	t.Run("short path", r.testShortPath)
	t.Run("idle exit", r.testIdleExit)
	t.Run("crash", r.testCrash)
	t.Run("bus", r.testBus)
	t.Run("http", r.testHTTP)
	t.Run("missing program", r.testMissingProgram)
	t.Run("quick activations", r.testQuickActivations)
	t.Run("exit race", r.testExitRace)
	t.Run("cold start", r.testColdStart)
	t.Run("fuse", r.testFuse)
	t.Run("update", r.testUpdate)
	t.Run("uninstall", r.testUninstall)
	t.Run("push", r.testPush)
	t.Run("seed", r.testSeed)
	t.Run("seed of the manager", r.testSeedOfManager)
	t.Run("package", r.testPackage)
	t.Run("runtime", r.testRuntime)
}

func (r *rig) testInstall(t *testing.T) {
	if err := r.Install(t.Context(), r.config); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "lnk-busd.socket", "ActiveState=active", "SubState=listening", "UnitFileState=enabled")
	r.greet(t)
	if err := r.Install(t.Context(), r.config); err != nil {
		t.Fatalf("second time: %v", err)
	}
	r.expect(t, "lnk-busd.service", "ActiveState=active")
}

// testPreset: a distribution that applies presets gets the bus and the trust daemon, but no git daemon of nobody.
func (r *rig) testPreset(t *testing.T) {
	r.do(t, "preset", "lnk-busd.socket", "lnk-gitd@.socket")
	r.expect(t, "lnk-busd.socket", "UnitFileState=enabled")
	if enabled, _ := filepath.Glob(r.Folder + "/user/*.wants/lnk-*"); len(enabled) != 3 {
		t.Errorf("the preset enables %v", enabled)
	}
}

// testVerify wants an empty stderr: systemd-analyze succeeds on unknown settings and only warns.
func (r *rig) testVerify(t *testing.T) {
	id := string(newPeer(t, 1))
	stdout, stderr := run(t, "systemd-analyze", "--user", "verify",
		"lnk-busd.socket", "lnk-busd.service", "lnk-trustd.socket", "lnk-trustd.service", "lnk-trustd-renew.timer", "lnk-trustd-renew.service",
		"lnk-trustd-http.socket", "lnk-trustd-http@1.service", "lnk-gitd@"+id+".socket", "lnk-gitd@"+id+".service")
	if stdout+stderr != "" {
		t.Errorf("systemd-analyze verify complains:\n%s%s", stdout, stderr)
	}
}

func (r *rig) testPermissions(t *testing.T) {
	_, socket := r.peer(t, 2)
	for path, want := range map[string]os.FileMode{
		socket:               os.ModeSocket | 0o700,
		filepath.Dir(socket): os.ModeDir | 0o700,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
}

// testHardening asks the kernel: most settings that systemd accepts in user units are without effect.
func (r *rig) testHardening(t *testing.T) {
	id, socket := r.peer(t, 8)
	mustAsk(t, socket)
	for _, unit := range []string{"lnk-busd.service", "lnk-gitd@" + string(id) + ".service"} {
		status, err := os.ReadFile("/proc/" + r.show(t, unit, "MainPID")["MainPID"] + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "Umask:\t0077\n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("%s: the kernel does not say %q:\n%s", unit, want, status)
			}
		}
	}
}

// testShortPath: the socket is where profile.Dirs says, also for a runtime folder that leaves no room for a whole peer id.
func (r *rig) testShortPath(t *testing.T) {
	c := r.config
	c.Dirs.Runtime = "/run/user/" + strings.Repeat("x", 60) + "/radicle"
	c.Peers = []peer.ID{newPeer(t, 9)}
	if err := r.Install(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(r.dirs.Runtime, filepath.Base(c.Dirs.Socket("gitd", c.Peers[0])))
	mustAsk(t, short)
	if long := r.dirs.Socket("gitd", c.Peers[0]); exists(long) {
		t.Errorf("systemd listens on %s too", long)
	}
	unit := "lnk-gitd@" + string(c.Peers[0])
	if complaint, stderr := run(t, "systemd-analyze", "--user", "verify", unit+".socket"); complaint+stderr != "" {
		t.Errorf("systemd-analyze verify complains: %s%s", complaint, stderr)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (r *rig) testIdleExit(t *testing.T) {
	id, socket := r.peer(t, 3, idle("200ms"))
	service := "lnk-gitd@" + string(id) + ".service"
	r.expect(t, service, "ActiveState=inactive")
	first := mustAsk(t, socket)
	r.expect(t, service, "ActiveState=inactive", "SubState=dead", "Result=success", "NRestarts=0")
	r.expect(t, "lnk-gitd@"+string(id)+".socket", "SubState=listening")
	if second := mustAsk(t, socket); second == first {
		t.Errorf("process %d answered twice, although it had left", first)
	}
}

func idle(d string) string {
	return "[Service]\nExecStart=\nExecStart=/run/lnk/bin/lnk-gitd --peer=%i --idle=" + d + "\n"
}

func (r *rig) testCrash(t *testing.T) {
	id, socket := r.peer(t, 4)
	mustAsk(t, socket)
	r.crash(t, "lnk-gitd@"+string(id)+".service")
	mustAsk(t, socket)
}

// crash kills a daemon and waits for the manager to start it again.
func (r *rig) crash(t *testing.T, service string) {
	t.Helper()
	pid, err := strconv.Atoi(r.show(t, service, "MainPID")["MainPID"])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.expect(t, service, "ActiveState=active", "NRestarts=1")
}

// testBus is both for the bus.
func (r *rig) testBus(t *testing.T) {
	r.dropIn(t, "lnk-busd", "[Service]\nExecStart=\nExecStart=/run/lnk/bin/lnk-busd --idle=200ms\n")
	r.do(t, "daemon-reload")
	r.do(t, "stop", "lnk-busd.service")
	for range 2 {
		r.greet(t)
		r.expect(t, "lnk-busd.service", "ActiveState=inactive", "Result=success", "NRestarts=0")
	}
	r.do(t, "revert", "lnk-busd.service")
	r.greet(t)
	r.crash(t, "lnk-busd.service")
	r.greet(t)
}

// testMissingProgram: while the program is gone, callers wait; when it is back, they are answered.
func (r *rig) testMissingProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lnk-gitd")
	id, socket := r.peer(t, 5, "[Service]\nExecStart=\nExecStart="+program+" --peer=%i\n")
	answer := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), socket)
		answer <- err
	}()
	service := "lnk-gitd@" + string(id) + ".service"
	var restarts int
	eventually(t, func() bool { // one more may come between two looks
		restarts, _ = strconv.Atoi(r.show(t, service, "NRestarts")["NRestarts"])
		return restarts >= 2
	}, func() string { return fmt.Sprintf("%s was started again %d times", service, restarts) })
	if err := os.Symlink("/run/lnk/bin/lnk-gitd", program); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("the caller that waited for the program got %v", err)
	}
	r.expect(t, service, "ActiveState=active")
}

// testQuickActivations is what systemd's default start limit forbids.
func (r *rig) testQuickActivations(t *testing.T) {
	id, socket := r.peer(t, 6, idle("1ms"))
	for range 6 {
		mustAsk(t, socket)
		r.expect(t, "lnk-gitd@"+string(id)+".service", "ActiveState=inactive", "Result=success")
	}
	r.expect(t, "lnk-gitd@"+string(id)+".socket", "SubState=listening")
}

// testFuse: a daemon that leaves without accepting makes systemd give the socket up, instead of spinning for ever; enabling
// makes it listen again.
func (r *rig) testFuse(t *testing.T) {
	// The interval is longer than the real one, or a slow machine would never start the daemon often enough.
	id, socket := r.peer(t, 10, "[Service]\nType=exec\nExecStart=\nExecStart=/bin/true\n", "[Socket]\nTriggerLimitIntervalSec=1min\n")
	unit := "lnk-gitd@" + string(id) + ".socket"
	go func() { _, _ = ask(t.Context(), socket) }()
	r.expect(t, unit, "ActiveState=failed", "Result=trigger-limit-hit")
	if got := r.status(t, "gitd-"+string(id)); got.State != Failed {
		t.Errorf("Status = %+v, want %s", got, Failed)
	}
	r.dropIn(t, "lnk-gitd@"+string(id), idle("15m"))
	r.do(t, "daemon-reload")
	if err := r.Enable(t.Context(), []peer.ID{id}); err != nil {
		t.Fatal(err)
	}
	if got := r.status(t, "gitd-"+string(id)); got.State != Sleeping || got.Socket != socket {
		t.Errorf("Status = %+v, want %s at %s", got, Sleeping, socket)
	}
	mustAsk(t, socket)
	if got := r.status(t, "gitd-"+string(id)); got.State != Running || got.PID == 0 {
		t.Errorf("Status = %+v, want %s", got, Running)
	}
}

func (r *rig) status(t *testing.T, name string) Status {
	t.Helper()
	all, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("Status does not list %s: %+v", name, all)
	return Status{}
}

// testUpdate: installing changed units ends what runs by the old ones; installing the same does not.
func (r *rig) testUpdate(t *testing.T) {
	r.greet(t)
	before := r.status(t, "bus")
	if err := r.Install(t.Context(), r.config); err != nil {
		t.Fatal(err)
	}
	if after := r.status(t, "bus"); after != before {
		t.Errorf("installing the same again: %+v became %+v", before, after)
	}
	r.config.Environment = []string{`LNK_TEST=a "b" \ 100% $HOME 'c'`}
	if err := r.Install(t.Context(), r.config); err != nil {
		t.Fatal(err)
	}
	r.greet(t)
	after := r.status(t, "bus")
	if after.PID == before.PID {
		t.Errorf("process %d still runs by the old unit", before.PID)
	}
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(after.PID) + "/environ")
	if err != nil || !strings.Contains(string(environ), r.config.Environment[0]+"\x00") {
		t.Errorf("%q is not in the daemon's environment (%v): %q", r.config.Environment[0], err, environ)
	}
}

func (r *rig) testUninstall(t *testing.T) {
	if err := r.Enable(t.Context(), []peer.ID{newPeer(t, 7)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Uninstall(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := filepath.Glob(r.Folder + "/user/*/lnk-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if left, _ := filepath.Glob(r.dirs.Runtime + "/*.sock"); len(left) > 0 {
		t.Errorf("sockets left: %v", left)
	}
	if all, err := r.Status(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("Status = %v, %v after uninstall", all, err)
	}
}

// testPackage: what make install does, and then a user. The folder stands for /usr/lib/systemd, which the user may not write.
func (r *rig) testPackage(t *testing.T) {
	u := newUser(t)
	folder := filepath.Join(os.Getenv("HOME"), ".local/share/systemd")
	u.run("lnk", "service", "print", "--programs", "/run/lnk/bin", "--dir", folder)
	r.do(t, "daemon-reload")
	u.run("lnk", "service", "enable")
	r.greet(t)
	if !r.Installed() {
		t.Error("the manager does not see the units")
	}
	if out := u.run("lnk", "status"); !strings.Contains(out, Running) {
		t.Errorf("lnk status says:\n%s", out)
	}
	if out := u.run("lnk", "service", "status"); !strings.Contains(out, Running) {
		t.Errorf("lnk service status says:\n%s", out)
	}
	u.run("lnk", "service", "uninstall")
	r.greet(t) // uninstall is not for what a package brought
	u.run("lnk", "service", "disable")
	r.expect(t, "lnk-busd.socket", "ActiveState=inactive", "UnitFileState=disabled")
}

// testRuntime: units for until the next log-out.
func (r *rig) testRuntime(t *testing.T) {
	m, err := NewManager(os.Environ(), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Install(t.Context(), r.config); err != nil {
		t.Fatal(err)
	}
	r.greet(t)
	r.expect(t, "lnk-busd.socket", "UnitFileState=enabled-runtime")
	if err := m.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(m.Folder + "/user/lnk-*"); len(left) > 0 || exists(r.dirs.Socket("bus", "")) {
		t.Errorf("left: %v", left)
	}
}
