package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc/activate"
)

// role makes this test binary a daemon.
const role = "LNK_TEST_DAEMON"

func TestMain(m *testing.M) {
	if mode := os.Getenv(role); mode != "" {
		os.Exit(Main(Spec{Program: "lnk-echod", Service: "echo", Short: "answers", PerPeer: mode == "peer", Start: func(_ context.Context, env Env) (Service, error) {
			if mode == "broken" {
				return nil, errors.New("the store is locked")
			}
			if mode == "guarded" {
				return newCounter(env), nil
			}
			return echo{env}, nil
		}}))
	}
	os.Exit(m.Run())
}

type echo struct{ env Env }

// Serve answers each byte, counting it as a request.
func (e echo) Serve(_ context.Context, c *activate.Conn) {
	b := make([]byte, 1)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		e.env.Activity.Add(1)
		_, _ = c.Write(b)
		e.env.Activity.Add(-1)
	}
}

func (e echo) Close(context.Context) error {
	e.env.Log.Info("flushed")
	return nil
}

// A started daemon; everything about it is under one short folder.
type started struct {
	*exec.Cmd
	dir, socket string
	stderr      string // a file
}

func start(t *testing.T, mode string, env []string, args ...string) *started {
	t.Helper()
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &started{Cmd: exec.Command(os.Args[0], args...), dir: dir, socket: filepath.Join(dir, "radicle", "echo.sock"), stderr: filepath.Join(dir, "stderr")}
	log, err := os.Create(d.stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	d.Stderr = log
	d.Env = append([]string{"GORACE=atexit_sleep_ms=0", role + "=" + mode, "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "JOURNAL_STREAM=" + streamOf(t, log, env)}, env...)
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill(); _ = d.Wait() })
	return d
}

// streamOf gives JOURNAL_STREAM the value that systemd would, if env asks for it.
func streamOf(t *testing.T, f *os.File, env []string) string {
	if len(env) == 0 || env[0] != "JOURNAL=1" {
		return "1:2"
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

func (d *started) log(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(d.stderr)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dial waits until the daemon listens.
func (d *started) dial(t *testing.T) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.Dial("unix", d.socket)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, d.log(t))
		}
		time.Sleep(time.Millisecond)
	}
}

// ends waits for the daemon and compares its exit code.
func (d *started) ends(t *testing.T, want int) {
	t.Helper()
	_ = d.Wait()
	if got := d.ProcessState.ExitCode(); got != want {
		t.Errorf("exit code %d (%v), want %d\n%s", got, d.ProcessState, want, d.log(t))
	}
}

func ask(t *testing.T, c net.Conn) {
	t.Helper()
	got := make([]byte, 1)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || got[0] != 'x' {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestByHand(t *testing.T) {
	d := start(t, "echo", nil)
	c := d.dial(t)
	ask(t, c)
	for path, want := range map[string]os.FileMode{filepath.Dir(d.socket): 0o700, d.socket: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, want)
		}
	}
	_ = d.Process.Signal(syscall.SIGTERM)
	d.ends(t, exitOK)
	if _, err := os.Stat(d.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	for _, want := range []string{"time=", "program=lnk-echod", "msg=listening", "msg=flushed"} {
		if log := d.log(t); !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
}

func TestSecondByHand(t *testing.T) {
	first := start(t, "echo", nil)
	first.dial(t)
	second := start(t, "echo", nil, "--socket="+first.socket)
	second.ends(t, exitFailure)
	if want := fmt.Sprintf("process %d already does", first.Process.Pid); !strings.Contains(second.log(t), want) {
		t.Errorf("no %q in the log:\n%s", want, second.log(t))
	}
	ask(t, first.dial(t))
}

func TestIdle(t *testing.T) {
	d := start(t, "echo", []string{"JOURNAL=1"}, "--idle=30ms")
	d.ends(t, exitOK)
	if log := d.log(t); strings.Contains(log, "time=") || strings.Contains(log, "program=") {
		t.Errorf("the journal has a time and a program already:\n%s", log)
	}
}

// notifySocket stands in for the service manager.
func notifySocket(t *testing.T) (*net.UnixConn, string) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, path
}

func told(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// systemd takes a daemon of Type=notify that leaves without READY=1 for one that failed.
func TestNotify(t *testing.T) {
	manager, path := notifySocket(t)
	d := start(t, "echo", []string{"NOTIFY_SOCKET=" + path}, "--idle=1ns")
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		if got := told(t, manager); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	d.ends(t, exitOK)
}

func TestStartFails(t *testing.T) {
	manager, path := notifySocket(t)
	d := start(t, "broken", []string{"NOTIFY_SOCKET=" + path})
	if got := told(t, manager); got != "STATUS=cannot start: the store is locked" {
		t.Errorf("told %q", got)
	}
	d.ends(t, exitFailure)
}

func TestFlags(t *testing.T) {
	const id = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
	tests := map[string]struct {
		perPeer        bool
		args           []string
		code           int
		stdout, stderr string
	}{
		"help":             {false, []string{"--help"}, exitOK, "EXIT STATUS", ""},
		"version":          {true, []string{"--version"}, exitOK, "lnk-x ", ""},
		"unknown flag":     {false, []string{"--frob"}, exitUsage, "", "-frob"},
		"argument":         {false, []string{"now"}, exitUsage, "", `unexpected argument "now"`},
		"negative":         {false, []string{"--idle=-1s"}, exitUsage, "", "it is negative"},
		"not a time":       {false, []string{"--idle=soon"}, exitUsage, "", "-idle"},
		"no peer":          {true, nil, exitUsage, "", "--peer is missing"},
		"bad peer":         {true, []string{"--peer=me"}, exitUsage, "", "-peer"},
		"peer not for all": {false, []string{"--peer=" + id}, exitUsage, "", "-peer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			spec := Spec{Program: "lnk-x", Service: "x", PerPeer: test.perPeer}
			code := run(t.Context(), spec, test.args, process{func(string) string { return "" }, &stdout, &stderr})
			if code != test.code || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("code %d, stdout %q, stderr %q, want %+v", code, &stdout, &stderr, test)
			}
			if test.stdout == "" && stdout.Len() > 0 || test.stderr == "" && stderr.Len() > 0 {
				t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
			}
		})
	}
	opts, err := parse(Spec{PerPeer: true}, []string{"--peer", id, "--idle", "3s", "--socket", "/x"}, io.Discard)
	if err != nil || string(opts.peer) != id || opts.idle != 3*time.Second || opts.socket != "/x" {
		t.Errorf("parse = %+v, %v", opts, err)
	}
}

// The reader of the log may be gone long before the daemon: that must not end it.
func TestBrokenLog(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(os.Args[0])
	cmd.Stderr = write
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0", role + "=echo", "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir}
	_ = read.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	d := &started{Cmd: cmd, socket: filepath.Join(dir, "radicle", "echo.sock"), stderr: os.DevNull}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ask(t, d.dial(t))
	_ = cmd.Process.Signal(syscall.SIGTERM)
	d.ends(t, exitOK)
}
