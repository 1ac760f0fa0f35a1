package gitd_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/git/gitd"
)

// serveInside replaces the rig's daemon by one of this process, for a configuration that the program does not offer.
func (r *rig) serveInside(limits gitd.Limits) {
	r.t.Helper()
	r.gitd.kill()
	check(r.t, os.Remove(r.gitd.socket))
	ctx, cancel := context.WithCancel(context.Background())
	activity := new(activate.Activity)
	server := must(gitd.New(ctx, gitd.Config{
		Env: daemon.Env{Log: slog.New(slog.DiscardHandler), Dirs: r.dirs, Peer: r.peer, Activity: activity, Getenv: os.Getenv, Version: "test"},
		Git: must(exec.LookPath("git"))(r.t), Hook: filepath.Join(programs, "lnk-git-hook"), Limits: limits,
	}))(r.t)
	l := must(activate.Bind(r.gitd.socket))(r.t)
	done := make(chan error, 1)
	go func() { done <- (&activate.Server{Handle: server.Serve, Activity: activity}).Serve(ctx, l) }()
	r.t.Cleanup(func() {
		cancel()
		check(r.t, <-done)
		check(r.t, server.Close(context.Background()))
	})
}

func TestPushThatIsTooLarge(t *testing.T) {
	r, dir, url := pushed(t)
	r.serveInside(gitd.Limits{Input: 100 << 10})
	data := make([]byte, 300<<10)
	_, _ = rand.Read(data)
	check(t, os.WriteFile(filepath.Join(dir, "large"), data, 0o644))
	r.mustGit(dir, "add", "large")
	r.commit(dir)
	r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, []string{"lnk", "main"}, "exceeds maximum allowed size")
	if left, _ := filepath.Glob(filepath.Join(r.storage(projectOf(url)), "objects", "tmp_*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// More transfers than places wait for their turn.
func TestTransfersWaitForTheirTurn(t *testing.T) {
	r, dir, url := pushed(t)
	r.serveInside(gitd.Limits{Transfers: 1})
	done := make(chan bool, 4)
	for range cap(done) {
		go func() {
			_, ok := r.git(dir, "ls-remote", url)
			done <- ok
		}()
	}
	for range cap(done) {
		if !<-done {
			t.Error("a fetch was turned away")
		}
	}
}

// A client that goes away takes its git with it.
func TestClientThatHangsUp(t *testing.T) {
	r, dir, url := pushed(t)
	cmd := r.gitCommand(dir, nil, "clone", "-q", "--bare", url, filepath.Join(t.TempDir(), "clone.git"))
	cmd.Args = []string{"git-remote-lnk", "origin", url}
	cmd.Path = filepath.Join(programs, "git-remote-lnk")
	in := must(cmd.StdinPipe())(t)
	check(t, cmd.Start())
	_ = must(in.Write([]byte("connect git-upload-pack\n")))(t)
	serving := func() bool {
		out, _ := exec.Command("ps", "-o", "args=", "--ppid", strconv.Itoa(r.gitd.cmd.Process.Pid)).Output()
		return strings.Contains(string(out), "upload-pack")
	}
	eventually(t, "git to start", serving)
	check(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait()
	in.Close()
	eventually(t, "git to end", func() bool { return !serving() })
}
