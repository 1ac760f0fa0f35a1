package activate

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
)

func TestBind(t *testing.T) {
	dir := filepath.Join(socketDir(t), "a", "radicle")
	path := filepath.Join(dir, "gitd.sock")
	l := mustBind(t, path)
	if l.Name != "gitd" || l.Activated {
		t.Errorf("listener %+v", l)
	}
	for _, p := range []string{filepath.Dir(dir), dir, path} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v, want mode 0700", p, info.Mode(), err)
		}
	}
	mustDial(t, path)
	_ = l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left behind: %v", err)
	}
}

func TestBindRefuses(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, parent, dir, path string)
		want    string // in the message or the hint, with %s for the folder
	}{
		"open folder":            {chmodDir(0o777), "is open to other users (mode 0777)\nchmod 700 %s"},
		"folder others may list": {chmodDir(0o750), "(mode 0750)"},
		"open folder above": {func(t *testing.T, parent, _, _ string) {
			must(t, os.Chmod(parent, 0o777))
		}, "is writable by every user (mode 0777)\nchmod 700"},
		"file instead of a folder": {func(t *testing.T, _, dir, _ string) {
			must(t, os.WriteFile(dir, nil, 0o600))
		}, "%s is not a folder\nmove it away"},
		"link instead of a folder": {func(t *testing.T, parent, dir, _ string) {
			must(t, os.Mkdir(filepath.Join(parent, "real"), 0o700))
			must(t, os.Symlink("real", dir))
		}, "%s is not a folder"},
		"file instead of a socket": {func(t *testing.T, _, dir, path string) {
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.WriteFile(path, []byte("precious"), 0o600))
		}, "the file there is not a socket\nmove it away"},
		"datagram socket": {func(t *testing.T, _, dir, path string) {
			must(t, os.Mkdir(dir, 0o700))
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			must(t, err)
			t.Cleanup(func() { _ = c.Close() })
		}, "cannot find out whether the socket there is in use"},
		"live socket": {func(t *testing.T, _, _, path string) {
			mustBind(t, path)
		}, fmt.Sprintf("process %d already does", os.Getpid())},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			parent := socketDir(t)
			dir := filepath.Join(parent, "d")
			path := filepath.Join(dir, "s.sock")
			test.prepare(t, parent, dir, path)
			before, _ := os.Lstat(path)
			_, err := Bind(path)
			want := strings.ReplaceAll(test.want, "%s", dir)
			if err == nil || !strings.HasPrefix(err.Error(), "cannot listen on "+path+": ") || !strings.Contains(err.Error()+"\n"+ipc.HintOf(err), want) {
				t.Errorf("error %q, want %q", err, want)
			}
			after, _ := os.Lstat(path)
			if before != nil && !os.SameFile(before, after) {
				t.Error("what was there is gone")
			}
		})
	}
}

func chmodDir(mode os.FileMode) func(*testing.T, string, string, string) {
	return func(t *testing.T, _, dir, _ string) {
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.Chmod(dir, mode)) // the umask does not count
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestBindForeignOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a file of another user")
	}
	dir := filepath.Join(socketDir(t), "d")
	path := filepath.Join(dir, "s.sock")
	stale(t, path)
	must(t, os.Chown(path, 12345, 12345))
	if _, err := Bind(path); err == nil || !strings.Contains(err.Error(), "the socket there belongs to uid 12345") {
		t.Errorf("foreign socket: %v", err)
	}
	must(t, os.Chown(dir, 12345, 12345))
	if _, err := Bind(path); err == nil || !strings.Contains(err.Error(), "belongs to uid 12345, not to you") {
		t.Errorf("foreign folder: %v", err)
	}
}

// stale leaves a socket file that nobody listens on.
func stale(t *testing.T, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, l.Close())
}

func TestBindReplacesStaleSocket(t *testing.T) {
	path := filepath.Join(socketDir(t), "s.sock")
	stale(t, path)
	mustBind(t, path)
	mustDial(t, path)
}

func TestBindPathLength(t *testing.T) {
	dir := socketDir(t)
	longest := filepath.Join(dir, strings.Repeat("x", maxPath-len(dir)-1))
	mustBind(t, longest)
	_, err := Bind(longest + "x")
	want := fmt.Sprintf("the path has %d bytes and the system allows %d", maxPath+1, maxPath)
	if err == nil || !strings.Contains(err.Error(), want) || ipc.HintOf(err) == "" {
		t.Errorf("error %v, want %s", err, want)
	}
}

// However many start at once over a stale socket, one listens and the others learn who does.
func TestBindRace(t *testing.T) {
	path := filepath.Join(socketDir(t), "s.sock")
	for range 50 {
		stale(t, path)
		var bound []Listener
		var mu sync.Mutex
		var starters sync.WaitGroup
		for range 8 {
			starters.Go(func() {
				l, err := Bind(path)
				var inUse *InUseError
				if err != nil && !errors.As(err, &inUse) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					bound = append(bound, l)
					mu.Unlock()
				}
			})
		}
		starters.Wait()
		if len(bound) != 1 {
			t.Fatalf("%d listen", len(bound))
		}
		mustDial(t, path)
		_ = bound[0].Close()
	}
}

// Closing late does not take away what a successor has put there.
func TestCloseLeavesSuccessor(t *testing.T) {
	path := filepath.Join(socketDir(t), "s.sock")
	first := mustBind(t, path)
	must(t, os.Remove(path))
	mustBind(t, path)
	_ = first.Close()
	mustDial(t, path)
}

// Whoever finds the file can connect, from its first moment on; and a file that was left behind does not go missing while it
// is replaced.
func TestBindShowsOnlyWhatListens(t *testing.T) {
	dir := socketDir(t)
	for i := range 300 {
		path := filepath.Join(dir, fmt.Sprintf("%d.sock", i))
		before := syscall.ENOENT
		if i%2 == 1 {
			stale(t, path)
			before = syscall.ECONNREFUSED
		}
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() {
				if err := dialWhile(path, before); err != nil {
					t.Errorf("round %d: a caller gets %v", i, err)
				}
			})
		}
		l := mustBind(t, path)
		callers.Wait()
		_ = l.Close()
		if t.Failed() {
			return
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// dialWhile calls again and again while the answer is that error, and returns what comes after it.
func dialWhile(path string, answer error) error {
	for {
		c, err := net.Dial("unix", path)
		if err == nil {
			return c.Close()
		}
		if !errors.Is(err, answer) {
			return err
		}
	}
}

// One that died between making the socket and showing it leaves a file that nobody is disturbed by.
func TestBindReplacesHiddenSocket(t *testing.T) {
	path := filepath.Join(socketDir(t), "s.sock")
	stale(t, hidden(path))
	l := mustBind(t, path)
	mustDial(t, path)
	_ = l.Close()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
