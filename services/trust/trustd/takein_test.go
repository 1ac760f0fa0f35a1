package trustd

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// TestTakesInRegularFilesOnly: nothing that might never end, or keep the repository waiting.
func TestTakesInRegularFilesOnly(t *testing.T) {
	r, _ := begun(t, 2)
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]ipc.Code{pipe: ipc.BadRequest, dir: ipc.BadRequest, "/dev/zero": ipc.BadRequest, dir + "/none": ipc.NotFound, "relative": ipc.BadRequest} {
		_, err := r.srv.add(t.Context(), trust.AddArgs{Artifacts: []trust.Artifact{{Path: "a", File: file}}})
		if ipc.CodeOf(err) != want {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestTaskCutOff: a result that a loss of power has cut off is one that nobody knows.
func TestTaskCutOff(t *testing.T) {
	r, _ := begun(t, 2)
	id := r.http("POST", "/api/v1/artifacts/publish", nil).at("data", "task_id").(string)
	r.look(func(repo *repository) {
		if err := os.WriteFile(repo.folder.task(id), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if a := r.http("GET", "/api/v1/task?task_id="+id, nil); a.status != 200 || a.at("data", "state") != taskPending {
		t.Errorf("%d %s", a.status, a.text)
	}
}
