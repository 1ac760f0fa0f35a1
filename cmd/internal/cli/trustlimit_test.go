package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// TestChangesMayTakeLong: trustd gets more time for a change, which may be thousands of signatures or a large file, than for a
// question, to which anything but an answer at once means that something is wrong.
func TestChangesMayTakeLong(t *testing.T) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	granted := map[string]time.Duration{}
	note := func(ctx context.Context, method string) {
		deadline, _ := ctx.Deadline()
		granted[method] = time.Until(deadline)
	}
	mux := ipc.NewMux("trustd", "1")
	trust.Publish.Handle(mux, func(ctx context.Context, _ trust.RepositoryArgs) (trust.Result, error) {
		note(ctx, "publish")
		return trust.Result{}, nil
	})
	trust.Repositories.Handle(mux, func(ctx context.Context, _ ipc.Empty) (trust.RepositoriesResult, error) {
		note(ctx, "list")
		return trust.RepositoriesResult{}, nil
	})
	socket := filepath.Join(dir, "run", "radicle", "trust.sock")
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	stop, err := serve(mux, socket)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"publish", "list"} {
		var stderr bytes.Buffer
		state := State{Stdin: strings.NewReader(""), Stdout: &bytes.Buffer{}, Stderr: &stderr, Environ: os.Environ,
			Getenv: func(name string) string { return map[string]string{"LNK_HOME": dir}[name] }}
		if status := Main(t.Context(), state, []string{"trust", verb}); status != exitOK {
			t.Errorf("%s: status %d, %s", verb, status, stderr.String())
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if long, short := granted["publish"], granted["list"]; long < 5*time.Minute || short > time.Minute {
		t.Errorf("a change may take %s, a question %s", long, short)
	}
}
