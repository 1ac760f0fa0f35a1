package busd_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
)

// publishOnce is a program that publishes on a topic and says how that went by its exit status: an ipc code.
func publishOnce(socket, topic string) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := pubsub.NewClient(socket, "test")
	defer c.Close()
	_, err := c.Publish(ctx, pubsub.Message{Topic: topic})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err == nil {
		err = readable(ctx, c)
	}
	return int(ipc.CodeOf(err))
}

// readable checks that a program may read, whatever it may publish.
func readable(ctx context.Context, c *pubsub.Client) error {
	for _, err := range c.Subscribe(ctx, "rad.>", pubsub.Start{All: true, UntilCurrent: true}) {
		if err != nil {
			return err
		}
	}
	_, err := c.Topics(ctx, "rad.>")
	return err
}

// TestRoles lets programs of different names publish. The kernel says which program is at the other end; the embedded
// server gets it through the PROXY header and its authentication hook, of which this is the test for new versions.
func TestRoles(t *testing.T) {
	b := newBus(t, time.Minute)
	folder, elsewhere := filepath.Join(b.home, "bin"), filepath.Join(b.home, "elsewhere")
	b.program = install(t, folder, "lnk-busd")
	gitd, noded, build, fake := install(t, folder, "lnk-gitd"), install(t, folder, "lnk-noded"), install(t, folder, "build"), install(t, elsewhere, "lnk-gitd")
	b.supervise() // after the programs are written: a process that is forked meanwhile would keep them open for writing
	const ok = 0
	for _, test := range []struct {
		program, topic string
		want           int
	}{
		{gitd, "rad.z6MkPeer.git.updated", ok},
		{gitd, "rad.z6MkPeer.node.joined", int(ipc.PermissionDenied)},
		{gitd, "rad.z6MkPeer.script.built", int(ipc.PermissionDenied)},
		{noded, "rad.z6MkPeer.node.joined", ok},
		{noded, "rad.z6MkPeer.git.updated", int(ipc.PermissionDenied)},
		{build, "rad.z6MkPeer.script.built", ok},
		{build, "rad.z6MkPeer.git.updated", int(ipc.PermissionDenied)},
		{fake, "rad.z6MkPeer.git.updated", int(ipc.PermissionDenied)},
	} {
		cmd := exec.Command(test.program, b.socket)
		cmd.Env = append(os.Environ(), asPublisher+"="+test.topic)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != test.want {
			t.Errorf("%s on %s: status %d, want %d: %s", test.program, test.topic, got, test.want, out)
		}
	}
}

// install puts this test binary under another name.
func install(t *testing.T, folder, name string) string {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, name)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
