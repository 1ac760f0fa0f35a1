package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/profile"
)

// TestMain makes this test binary the daemon that the tests supervise: it is started with its role as first argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "daemon" {
		os.Args = append(os.Args[:1], os.Args[2:]...)
		os.Exit(daemon.Main(daemon.Spec{Program: "lnk-testd", Service: "test", HoldConns: os.Getenv("TESTD_HOLD") != "", Start: startTestd}))
	}
	if len(os.Args) > 1 && os.Args[1] == "supervisor" {
		os.Exit(superviseAlone(os.Args[2]))
	}
	os.Exit(m.Run())
}

// logMethod is for a testd with TESTD_IPC set, which serves it instead of lines.
var logMethod = ipc.Unary[logArgs, int]{Name: "test.log", Access: ipc.Change, Short: "append a line to a file"}

type logArgs struct {
	File string `cbor:"0,keyasint"`
	Line string `cbor:"1,keyasint"`
}

// testd answers each line with its process id and the line. Lines that it acts on: "crash" ends it, "env NAME" is answered
// with the variable, "fds" with its open descriptors, "log FILE LINE" appends to a file first, "orphan" leaves a child.
type testd struct {
	env   daemon.Env
	calls *ipc.Server
}

func startTestd(_ context.Context, env daemon.Env) (daemon.Service, error) {
	if reason := env.Getenv("TESTD_BROKEN"); reason != "" {
		return nil, fmt.Errorf("broken: %s", reason)
	}
	mux := ipc.NewMux("test", "")
	logMethod.Handle(mux, func(_ context.Context, args logArgs) (int, error) {
		appendLine(args.File, args.Line)
		return os.Getpid(), nil
	})
	return testd{env, &ipc.Server{Mux: mux, Log: env.Log, Activity: env.Activity}}, nil
}

func (d testd) Serve(ctx context.Context, c *activate.Conn) {
	if d.env.Getenv("TESTD_IPC") != "" {
		d.calls.ServeConn(ctx, c, c.Draining())
		return
	}
	for in := bufio.NewReader(c); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		d.env.Activity.Add(1)
		_, err = fmt.Fprintf(c, "%d %s\n", os.Getpid(), d.answer(strings.Fields(line)))
		d.env.Activity.Add(-1)
		if err != nil {
			return
		}
	}
}

// Close takes as long as TESTD_CLOSE says, and until the file that TESTD_FLUSHED names is there, as if there were much to
// flush.
func (d testd) Close(ctx context.Context) error {
	if pause, err := time.ParseDuration(d.env.Getenv("TESTD_CLOSE")); err == nil {
		<-time.After(pause)
	}
	for file := d.env.Getenv("TESTD_FLUSHED"); file != "" && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			break
		}
	}
	if file := d.env.Getenv("TESTD_CLOSED"); file != "" {
		appendLine(file, fmt.Sprint(os.Args))
	}
	return nil
}

func (d testd) answer(words []string) string {
	switch words[0] {
	case "crash":
		os.Exit(3)
	case "env":
		return "[" + d.env.Getenv(words[1]) + "]"
	case "log":
		appendLine(words[1], words[2])
	case "fds":
		return openFiles()
	case "orphan":
		p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "sleep 1000 & echo $! >" + words[1]}, &os.ProcAttr{})
		if err == nil {
			_, err = p.Wait()
		}
		return fmt.Sprint(err)
	}
	return words[0]
}

func appendLine(file, line string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line + "\n"); err != nil {
		panic(err)
	}
}

func openFiles() string {
	entries, _ := os.ReadDir("/proc/self/fd")
	var open []string
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open = append(open, e.Name()+"="+target)
		}
	}
	return strings.Join(open, ",")
}

// rig is a supervisor with its folder.
type rig struct {
	dir  string
	dirs profile.Dirs
	cfg  Config
	done chan error
	stop context.CancelFunc
}

func newRig(t *testing.T, env ...string) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &rig{dir: dir, dirs: profile.Dirs{Runtime: filepath.Join(dir, "radicle")}}
	// The race detector would sleep a second in every process that ends.
	env = append([]string{"HOME=" + dir, "GORACE=atexit_sleep_ms=0"}, env...)
	r.cfg = Config{Dirs: r.dirs, Env: env, Output: os.Stderr, Rescan: time.Hour}
	r.cfg.Sockets = func() ([]Socket, error) { return []Socket{r.socket("test", "--idle=1h")}, nil }
	return r
}

// socket describes a testd behind NAME.sock.
func (r *rig) socket(name string, args ...string) Socket {
	return Socket{Name: name, Service: "test", Path: r.dirs.Socket(name, ""), Program: os.Args[0], Args: append([]string{"daemon"}, args...)}
}

// up starts the supervisor, and checks at the end that it leaves cleanly.
func (r *rig) up(t *testing.T) {
	t.Helper()
	ready := make(chan struct{})
	r.cfg.Ready = func() { close(ready) }
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.done = stop, make(chan error, 1)
	go func() { r.done <- Run(ctx, r.cfg) }()
	select {
	case <-ready:
		t.Cleanup(func() { r.down(t) })
	case err := <-r.done:
		t.Fatal(err)
	}
}

// down ends it, once.
func (r *rig) down(t *testing.T) {
	t.Helper()
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(r.dirs.Runtime, "*"))
	if len(left) > 0 {
		t.Errorf("files left behind: %v", left)
	}
}

// status returns the state of the service called name.
func (r *rig) status(t *testing.T, name string) ServiceState {
	t.Helper()
	states, err := Status(t.Context(), r.dirs)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no %s in %+v", name, states)
	return ServiceState{}
}

// await polls until the service is as ok wants it.
func (r *rig) await(t *testing.T, name string, ok func(ServiceState) bool) ServiceState {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		s := r.status(t, name)
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", s)
		}
	}
}

// client is one connection to a testd.
type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, path string) *client {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return &client{c, bufio.NewReader(c)}
}

// ask returns who answered, and what.
func (c *client) ask(t *testing.T, line string) (pid int, answer string) {
	t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatal(err)
	}
	return c.answer(t)
}

func (c *client) answer(t *testing.T) (pid int, answer string) {
	t.Helper()
	got, err := c.in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(got, &pid, &answer); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	return pid, answer
}

// asked connects, asks once, and closes. A daemon with a short idle time may leave before a slow machine has written the
// request: nobody has got it then, and the next instance is asked.
func asked(t *testing.T, path, line string) (pid int, answer string) {
	t.Helper()
	for {
		c := dial(t, path)
		defer c.Close()
		_, err := fmt.Fprintln(c, line)
		if err == nil {
			return c.answer(t)
		}
		if !errors.Is(err, syscall.EPIPE) {
			t.Fatal(err)
		}
	}
}
