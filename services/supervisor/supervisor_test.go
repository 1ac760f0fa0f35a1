package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/profile"
)

func sleeping(s ServiceState) bool { return s.State == Sleeping }

// The scenario that the units go through below systemd.
func TestActivateLeaveActivate(t *testing.T) {
	r := newRig(t)
	r.cfg.Sockets = func() ([]Socket, error) { return []Socket{r.socket("test", "--idle=20ms")}, nil }
	r.up(t)
	path := r.dirs.Socket("test", "")
	if s := r.status(t, "test"); s.State != Sleeping || s.PID != 0 || s.Socket != path {
		t.Errorf("before anybody connected: %+v", s)
	}
	seen := make(map[int]bool)
	for range 6 { // systemd's default limit gives up here
		pid, _ := asked(t, path, "hello")
		if seen[pid] {
			t.Errorf("process %d serves after it left", pid)
		}
		seen[pid] = true
		if s := r.await(t, "test", sleeping); s.Restarts != 0 || s.Error != "" {
			t.Errorf("after leaving: %+v", s)
		}
	}
}

func TestSocketModes(t *testing.T) {
	r := newRig(t)
	r.up(t)
	for _, path := range []string{r.dirs.Runtime, r.dirs.Socket("test", ""), r.dirs.Socket("up", "")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v, want mode 0700", path, info.Mode(), err)
		}
	}
}

func TestDaemonEnvironment(t *testing.T) {
	r := newRig(t, "SSH_AUTH_SOCK=/agent", "KEPT=yes", "LISTEN_PID=1", "NOTIFY_SOCKET=/n")
	r.up(t)
	c := dial(t, r.dirs.Socket("test", ""))
	for name, want := range map[string]string{"SSH_AUTH_SOCK": "[]", "KEPT": "[yes]", "NOTIFY_SOCKET": "[]", "LISTEN_FDS": "[]", "LISTEN_PID": "[]"} {
		if _, got := c.ask(t, "env "+name); got != want {
			t.Errorf("%s is %s in the daemon, want %s", name, got, want)
		}
	}
}

// A daemon holds its standard streams, the socket, the connection, and what its runtime made; nothing of ours.
func TestDaemonInheritsOneSocket(t *testing.T) {
	r := newRig(t)
	r.cfg.Sockets = func() ([]Socket, error) {
		return []Socket{r.socket("test", "--idle=1h"), r.socket("other", "--idle=1h")}, nil
	}
	r.up(t)
	asked(t, r.dirs.Socket("other", ""), "hello")
	_, open := asked(t, r.dirs.Socket("test", ""), "fds")
	if n := strings.Count(open, "=socket:"); n != 2 {
		t.Errorf("%d sockets in the daemon, want listener and connection: %s", n, open)
	}
}

func TestCrashAndRestart(t *testing.T) {
	r := newRig(t)
	r.cfg.RestartMin = 50 * time.Millisecond
	r.up(t)
	path := r.dirs.Socket("test", "")
	first, _ := asked(t, path, "hello")
	_, _ = fmt.Fprintln(dial(t, path), "crash")
	restarted := r.await(t, "test", func(s ServiceState) bool { return s.State == Running && s.Restarts == 1 })
	if !strings.Contains(restarted.Error, "exit status 3") {
		t.Errorf("the reason is not told: %+v", restarted)
	}
	if second, _ := asked(t, path, "hello"); second == first {
		t.Errorf("process %d answers after its crash", second)
	}
}

func TestCrashLoopIsPaced(t *testing.T) {
	r := newRig(t, "TESTD_BROKEN=store")
	r.cfg.RestartMin, r.cfg.RestartMax = time.Hour, time.Hour // far more than any machine takes to fail twice
	r.up(t)
	c := dial(t, r.dirs.Socket("test", ""))
	r.await(t, "test", func(s ServiceState) bool { return s.State == Failed && s.Restarts == 1 })
	if s := r.status(t, "test"); !strings.Contains(s.Error, "exit status 1") {
		t.Errorf("the reason is not told: %+v", s)
	}
	if _, err := fmt.Fprintln(c, "still there"); err != nil {
		t.Errorf("the caller was dropped: %v", err)
	}
}

// Leaving with success without serving would be an endless loop: the same caller is still there.
func TestUselessDaemonIsPaced(t *testing.T) {
	r := newRig(t)
	r.cfg.Sockets = func() ([]Socket, error) {
		return []Socket{{Name: "test", Service: "test", Path: r.dirs.Socket("test", ""), Program: "/bin/true"}}, nil
	}
	r.up(t)
	dial(t, r.dirs.Socket("test", ""))
	s := r.await(t, "test", func(s ServiceState) bool { return s.State == Failed })
	if !strings.Contains(s.Error, "did not serve who waits") {
		t.Errorf("the reason is not told: %+v", s)
	}
}

func TestMissingProgram(t *testing.T) {
	r := newRig(t)
	program := filepath.Join(r.dir, "lnk-testd")
	r.cfg.RestartMin = 50 * time.Millisecond
	r.cfg.RestartMax = 100 * time.Millisecond
	r.cfg.Sockets = func() ([]Socket, error) {
		s := r.socket("test", "--idle=1h")
		s.Program = program
		return []Socket{s}, nil
	}
	r.up(t)
	c := dial(t, r.dirs.Socket("test", ""))
	s := r.await(t, "test", func(s ServiceState) bool { return s.State == Failed })
	if want := "cannot start " + program + ": "; !strings.HasPrefix(s.Error, want) || !strings.Contains(s.Error, "no such file") {
		t.Errorf("the reason is %q, want %s…", s.Error, want)
	}
	if err := os.Symlink(os.Args[0], program); err != nil {
		t.Fatal(err)
	}
	c.ask(t, "hello") // the caller that has waited all the time
}

// A connection made while the daemon flushes its stores waits for the next instance.
func TestCallerDuringDrain(t *testing.T) {
	r := newRig(t)
	flushed := filepath.Join(r.dir, "flushed")
	r.cfg.Env = append(r.cfg.Env, "TESTD_FLUSHED="+flushed)
	r.up(t)
	path := r.dirs.Socket("test", "")
	c := dial(t, path)
	first, _ := c.ask(t, "hello")
	if err := syscall.Kill(first, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := c.in.ReadByte(); err == nil {
		t.Fatal("the daemon does not leave")
	}
	late := dial(t, path)
	if s := r.status(t, "test"); s.PID != first {
		t.Fatalf("the daemon has left already: %+v", s)
	}
	if err := os.WriteFile(flushed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if second, _ := late.ask(t, "hello"); second == first {
		t.Error("the instance that leaves took a new caller")
	}
	if s := r.status(t, "test"); s.Restarts != 0 {
		t.Errorf("leaving was taken for a failure: %+v", s)
	}
}

func TestSecondSupervisor(t *testing.T) {
	r := newRig(t)
	r.up(t)
	pid, _ := asked(t, r.dirs.Socket("test", ""), "hello")
	err := Run(t.Context(), r.cfg)
	want := fmt.Sprintf("lnk up is already running as process %d on %s", os.Getpid(), r.dirs.Runtime)
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if again, _ := asked(t, r.dirs.Socket("test", ""), "hello"); again != pid {
		t.Error("the first supervisor was disturbed")
	}
}

func TestSocketInUse(t *testing.T) {
	r := newRig(t)
	if err := os.Mkdir(r.dirs.Runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", r.dirs.Socket("test", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = Run(t.Context(), r.cfg)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d already does", os.Getpid())) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(r.dirs.Socket("up", "")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("up.sock is left behind: %v", err)
	}
}

func TestNotRunning(t *testing.T) {
	r := newRig(t)
	if _, err := Status(t.Context(), r.dirs); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Status = %v", err)
	}
	if err := Reload(t.Context(), r.dirs); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Reload = %v", err)
	}
}

func TestNewAndGoneSockets(t *testing.T) {
	for _, by := range []string{"reload", "rescan"} {
		t.Run(by, func(t *testing.T) {
			r := newRig(t)
			names := make(chan []string, 1)
			names <- []string{"bus", "a"}
			r.cfg.Sockets = func() (list []Socket, err error) {
				current := <-names
				names <- current
				for _, name := range current {
					list = append(list, r.socket(name, "--idle=1h"))
				}
				return list, nil
			}
			if by == "rescan" {
				r.cfg.Rescan = 5 * time.Millisecond
			}
			r.up(t)
			asked(t, r.dirs.Socket("a", ""), "hello")
			<-names
			names <- []string{"bus", "b"}
			if by == "reload" {
				if err := Reload(t.Context(), r.dirs); err != nil {
					t.Fatal(err)
				}
			} else {
				awaitFile(t, r.dirs.Socket("b", ""))
			}
			asked(t, r.dirs.Socket("b", ""), "hello")
			if _, err := os.Stat(r.dirs.Socket("a", "")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket of a gone profile: %v", err)
			}
		})
	}
}

func awaitFile(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s", path)
		}
	}
}

// A profile file that cannot be read must not end the daemons of the others.
func TestFaultyListKeepsSockets(t *testing.T) {
	r := newRig(t)
	faulty := make(chan bool, 1)
	faulty <- false
	r.cfg.Sockets = func() ([]Socket, error) {
		now := <-faulty
		faulty <- now
		if now {
			return nil, errors.New("cannot read a profile")
		}
		return []Socket{r.socket("test", "--idle=1h")}, nil
	}
	r.up(t)
	pid, _ := asked(t, r.dirs.Socket("test", ""), "hello")
	<-faulty
	faulty <- true
	if err := Reload(t.Context(), r.dirs); err == nil || !strings.Contains(err.Error(), "cannot read a profile") {
		t.Errorf("Reload = %v", err)
	}
	if again, _ := asked(t, r.dirs.Socket("test", ""), "hello"); again != pid {
		t.Error("the daemon was ended")
	}
}

// What is listed first is needed by what follows, so it leaves last.
func TestOrderOfLeaving(t *testing.T) {
	r := newRig(t)
	closed := filepath.Join(r.dir, "closed")
	r.cfg.Env = append(r.cfg.Env, "TESTD_CLOSED="+closed, "TESTD_CLOSE=50ms")
	r.cfg.Sockets = func() ([]Socket, error) {
		bus, git := r.socket("bus", "--idle=1h"), r.socket("git", "--idle=2h")
		bus.Service, git.Service = "test", "test"
		return []Socket{bus, {Name: "between", Service: "none", Path: r.dirs.Socket("between", ""), Program: "/none"}, git}, nil
	}
	r.up(t)
	asked(t, r.dirs.Socket("git", ""), "hello")
	asked(t, r.dirs.Socket("bus", ""), "hello")
	r.down(t)
	got, _ := os.ReadFile(closed)
	if first, second := strings.Index(string(got), "2h"), strings.Index(string(got), "1h"); first < 0 || second < first {
		t.Errorf("they left in this order:\n%s", got)
	}
}

// A daemon that is killed takes its children along: they would go on writing beside its successor.
func TestOrphansEnd(t *testing.T) {
	r := newRig(t)
	r.up(t)
	file := filepath.Join(r.dir, "pid")
	pid, answer := asked(t, r.dirs.Socket("test", ""), "orphan "+file)
	content, err := os.ReadFile(file)
	if err != nil || answer != "<nil>" {
		t.Fatal(answer, err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	awaitGone(t, orphan)
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); alive(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", pid)
		}
	}
}

// alive counts a zombie as gone: whether its new parent reaps it is not ours to say.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// superviseAlone is a supervisor as a process of its own, which can be killed.
func superviseAlone(dir string) int {
	r := &rig{dir: dir, dirs: profile.Dirs{Runtime: filepath.Join(dir, "radicle")}}
	cfg := Config{Dirs: r.dirs, Env: []string{"HOME=" + dir, "GORACE=atexit_sleep_ms=0"}, Output: os.Stderr, Ready: func() { fmt.Println("ready") }}
	cfg.Sockets = func() ([]Socket, error) {
		return []Socket{r.socket("test", "--idle=1h"), r.socket("asleep", "--idle=1h")}, nil
	}
	if err := Run(context.Background(), cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestKilledSupervisor(t *testing.T) {
	r := newRig(t)
	cmd := exec.Command(os.Args[0], "supervisor", r.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(out, new(string)); err != nil {
		t.Fatal(err)
	}
	c := dial(t, r.dirs.Socket("test", ""))
	pid, _ := c.ask(t, "hello")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	r.cfg.Sockets = func() ([]Socket, error) {
		return []Socket{r.socket("test", "--idle=1h"), r.socket("asleep", "--idle=1h")}, nil
	}
	r.up(t) // over the socket files that the first one left, while its daemon may still be leaving
	awaitGone(t, pid)
	if again, _ := asked(t, r.dirs.Socket("test", ""), "hello"); again == pid {
		t.Error("the daemon of a killed supervisor answers")
	}
}

// Every activation gives back what it took.
func TestNothingLeaks(t *testing.T) {
	r := newRig(t)
	r.cfg.Sockets = func() ([]Socket, error) { return []Socket{r.socket("test", "--idle=5ms")}, nil }
	r.up(t)
	cycle := func() {
		asked(t, r.dirs.Socket("test", ""), "hello")
		r.await(t, "test", sleeping)
	}
	cycle()
	goroutines, files := runtime.NumGoroutine(), strings.Count(openFiles(), "=")
	for range 30 {
		cycle()
	}
	// up.sock may still be at the end of calls.
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines+3 || strings.Count(openFiles(), "=") > files+3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before; open files, %d before: %s", runtime.NumGoroutine(), goroutines, files, openFiles())
		}
	}
}
