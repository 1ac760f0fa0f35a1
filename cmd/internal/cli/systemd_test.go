package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// rig boots a systemd --user in private namespaces and runs a command as an unprivileged user below it.
const rig = "../../../units/testdata/rig.sh"

// TestSystemd runs testdata/systemd.sh: the promises of lnk service, and the main job with the units.
func TestSystemd(t *testing.T) {
	if reason := rigMissing(); reason != nil {
		if os.Getenv("LNK_REQUIRE_SYSTEMD") != "" {
			t.Fatalf("there is no systemd to test with: %v", reason)
		}
		t.Skipf("NOT TESTED with a real systemd --user: %v", reason)
	}
	scenario, err := os.ReadFile("testdata/systemd.sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(programs, "scenario"), scenario, 0o755); err != nil {
		t.Fatal(err)
	}
	runRig(t)
}

func runRig(t *testing.T) {
	c := exec.CommandContext(t.Context(), "sh", rig, "12345", programs, "scenario")
	alive, err := c.StdinPipe() // the rig cleans up and ends when it closes
	if err != nil {
		t.Fatal(err)
	}
	c.Cancel = alive.Close
	out, err := c.CombinedOutput()
	t.Logf("in the rig:\n%s", out)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the rig failed: %v", err)
	}
}

// rigMissing says what keeps this machine from running the rig; nil if nothing does.
func rigMissing() error {
	if os.Geteuid() != 0 {
		return errors.New("private namespaces and cgroups need root")
	}
	for _, program := range []string{"unshare", "setpriv", "systemctl"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	return nil
}
