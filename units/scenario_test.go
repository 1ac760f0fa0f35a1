package units

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// runScenarios runs what must hold below a real systemd. The order matters only at both ends: install, uninstall.
func runScenarios(t *testing.T) {
	r := newRig(t)
	t.Run("install", r.testInstall)
	t.Run("verify", r.testVerify)
	t.Run("permissions", r.testPermissions)
	t.Run("idle exit", r.testIdleExit)
	t.Run("crash", r.testCrash)
	t.Run("missing program", r.testMissingProgram)
	t.Run("quick activations", r.testQuickActivations)
	t.Run("exit race", r.testExitRace)
	t.Run("uninstall", r.testUninstall)
}

func (r *rig) testInstall(t *testing.T) {
	if err := r.Install(t.Context(), r.config); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "lnk-busd.socket", "ActiveState=active", "SubState=listening", "UnitFileState=enabled")
	mustAsk(t, r.dirs.Socket("bus", ""))
	if err := r.Install(t.Context(), r.config); err != nil {
		t.Fatalf("second time: %v", err)
	}
	r.expect(t, "lnk-busd.service", "ActiveState=active")
}

// testVerify wants an empty stderr: systemd-analyze succeeds on unknown settings and only warns.
func (r *rig) testVerify(t *testing.T) {
	id := string(newPeer(t, 1))
	stdout, stderr := run(t, "systemd-analyze", "--user", "verify",
		"lnk-busd.socket", "lnk-busd.service", "lnk-gitd@"+id+".socket", "lnk-gitd@"+id+".service")
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

func (r *rig) testIdleExit(t *testing.T) {
	id, socket := r.peer(t, 3, idle("200ms"))
	service := "lnk-gitd@" + string(id) + ".service"
	r.expect(t, service, "ActiveState=inactive")
	first := mustAsk(t, socket)
	r.expect(t, service, "ActiveState=inactive", "SubState=dead", "Result=success", "NRestarts=0")
	r.expect(t, "lnk-gitd@"+string(id)+".socket", "SubState=listening")
	if second := mustAsk(t, socket); second == first {
		t.Errorf("process %s answered twice, although it had left", first)
	}
}

func idle(d string) string {
	return "[Service]\nExecStart=\nExecStart=/run/lnk/bin/lnk-gitd --peer=%i --idle=" + d + "\n"
}

func (r *rig) testCrash(t *testing.T) {
	id, socket := r.peer(t, 4)
	service := "lnk-gitd@" + string(id) + ".service"
	mustAsk(t, socket)
	pid, err := strconv.Atoi(r.show(t, service, "MainPID")["MainPID"])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.expect(t, service, "ActiveState=active", "NRestarts=1")
	mustAsk(t, socket)
}

// testMissingProgram: while the program is gone, callers wait; when it is back, they are answered.
func (r *rig) testMissingProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lnk-gitd")
	id, socket := r.peer(t, 5, "[Service]\nExecStart=\nExecStart="+program+" --peer=%i\n")
	answer := make(chan error, 1)
	go func() {
		_, err := ask(socket)
		answer <- err
	}()
	service := "lnk-gitd@" + string(id) + ".service"
	r.expect(t, service, "NRestarts=2", "SubState=auto-restart")
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
