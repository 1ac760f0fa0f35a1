package units

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// inRig is set by testdata/rig.sh in the environment of what it runs.
const inRig = "LNK_RIG"

// requireSystemd turns the reasons for not running these tests into failures; .ci/run sets it.
const requireSystemd = "LNK_REQUIRE_SYSTEMD"

// rigUser is the unprivileged user in the rig. Nobody on the machine needs to have that number.
const rigUser = "12345"

// TestSystemd runs the scenarios below a real systemd --user in private namespaces, as an unprivileged user: there this
// test runs a second time, with inRig set.
func TestSystemd(t *testing.T) {
	if os.Getenv(inRig) != "" {
		runScenarios(t)
		return
	}
	if reason := rigMissing(); reason != nil {
		if os.Getenv(requireSystemd) != "" {
			t.Fatalf("%s is set, but there is no systemd to test with: %v", requireSystemd, reason)
		}
		t.Skipf("NOT TESTED with a real systemd --user: %v", reason)
	}
	runRig(t, buildPrograms(t))
}

// rigMissing says what keeps this machine from running a systemd --user of its own; nil if nothing does.
func rigMissing() error {
	if os.Geteuid() != 0 {
		return errors.New("private namespaces and cgroups need root")
	}
	for _, program := range []string{"unshare", "setpriv", "systemctl", "systemd-analyze", "ssh-agent", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "--uts", "--cgroup", "true").CombinedOutput(); err != nil {
		return errors.New("cannot make namespaces: " + string(out))
	}
	return nil
}

// buildPrograms returns a folder with the programs and this test. The programs are built as users get them: with the race
// detector they would need many times as long to start.
func buildPrograms(t *testing.T) string {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", dir, "../cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{build, exec.CommandContext(t.Context(), "cp", self, filepath.Join(dir, "units.test"))} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
	return dir
}

func runRig(t *testing.T, programs string) {
	args := []string{"testdata/rig.sh", rigUser, programs, "units.test", "-test.run=^TestSystemd$"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	// The kill comes as the closed input: the script then cleans up.
	rig := exec.CommandContext(t.Context(), "sh", args...)
	alive, err := rig.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	rig.Cancel = alive.Close
	out, err := rig.CombinedOutput()
	t.Logf("in the rig:\n%s", out)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the rig failed: %v", err)
	}
}
