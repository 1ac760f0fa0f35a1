package activate

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain makes this test binary the process that a service manager starts: it says what it got.
func TestMain(m *testing.M) {
	if names := os.Getenv("TAKE"); names != "" {
		report(strings.Split(names, ","))
		return
	}
	os.Exit(m.Run())
}

func report(names []string) {
	ls, err := Listeners(names...)
	for _, l := range ls {
		fmt.Printf("%s %v %s\n", l.Name, l.Activated, l.Addr())
		_ = l.Close()
	}
	if err != nil {
		fmt.Println(err)
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if value, ok := os.LookupEnv(name); ok {
			fmt.Printf("%s=%s is left\n", name, value)
		}
	}
	if again, err := Listeners(names...); len(again) > 0 || err != nil {
		fmt.Printf("the second call returns %v, %v\n", again, err)
	}
}

func TestListeners(t *testing.T) {
	dir := socketDir(t)
	stream, other := listening(t, filepath.Join(dir, "s")), listening(t, filepath.Join(dir, "o"))
	tests := map[string]struct {
		env   string // of the shell, $$ being the process
		files []*os.File
		want  string
	}{
		"one":                {"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gitd", []*os.File{stream}, "gitd true " + dir + "/s\n"},
		"two":                {"LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=gitd:tcp", []*os.File{stream, other}, "gitd true " + dir + "/s\ntcp true " + dir + "/o\n"},
		"two of one name":    {"LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=gitd:gitd", []*os.File{stream, other}, "gitd true " + dir + "/s\ngitd true " + dir + "/o\n"},
		"none":               {"X=1", nil, ""},
		"of another process": {"LISTEN_PID=1 LISTEN_FDS=1 LISTEN_FDNAMES=gitd", []*os.File{stream}, ""},
		"no process":         {"LISTEN_FDS=1 LISTEN_FDNAMES=gitd", []*os.File{stream}, ""},
		"not a process":      {"LISTEN_PID=$$x LISTEN_FDS=1 LISTEN_FDNAMES=gitd", []*os.File{stream}, ""},
		"unknown name":       {"LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=gitd:rpc", []*os.File{stream, other}, "cannot take socket rpc from the service manager: no such name here: set FileDescriptorName=gitd or tcp in its unit\n"},
		"too few names":      {"LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=gitd", []*os.File{stream, other}, "cannot take 2 sockets from the service manager: LISTEN_FDNAMES=gitd does not name each of them\n"},
		"too many names":     {"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gitd:gitd", []*os.File{stream}, "cannot take 1 sockets from the service manager: LISTEN_FDNAMES=gitd:gitd does not name each of them\n"},
		"no names":           {"LISTEN_PID=$$ LISTEN_FDS=1", []*os.File{stream}, "cannot take 1 sockets from the service manager: LISTEN_FDNAMES= does not name each of them\n"},
		"a file":             {"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gitd", []*os.File{plainFile(t, dir)}, "cannot take socket gitd from the service manager: " + errNotListening.Error() + "\n"},
		"a connection":       {"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gitd", []*os.File{connection(t, filepath.Join(dir, "s"))}, "cannot take socket gitd from the service manager: " + errNotListening.Error() + "\n"},
		"a datagram socket":  {"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gitd", []*os.File{datagram(t, filepath.Join(dir, "d"))}, "cannot take socket gitd from the service manager: " + errNotListening.Error() + "\n"},
		"a TCP socket":       {"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gitd", []*os.File{tcp(t)}, "cannot take socket gitd from the service manager: " + errNotListening.Error() + "\n"},
		"nothing there":      {"LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=gitd:gitd", []*os.File{stream}, "cannot take socket gitd from the service manager: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("/bin/sh", "-c", "export "+test.env+`; exec "$0"`, os.Args[0])
			cmd.Env = []string{"TAKE=gitd,tcp", "GORACE=atexit_sleep_ms=0"}
			cmd.ExtraFiles = test.files
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != test.want && !(strings.HasSuffix(test.want, ": ") && strings.HasPrefix(string(out), test.want)) {
				t.Errorf("got %v\n%swant\n%s", err, out, test.want)
			}
		})
	}
	// A socket that was handed in is never unlinked.
	mustDial(t, filepath.Join(dir, "s"))
}

type filer interface{ File() (*os.File, error) }

func file(t *testing.T, f filer, err error) *os.File {
	t.Helper()
	must(t, err)
	copied, err := f.File()
	must(t, err)
	t.Cleanup(func() { _ = copied.Close() })
	return copied
}

func listening(t *testing.T, path string) *os.File {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	return file(t, l, err)
}

func plainFile(t *testing.T, dir string) *os.File {
	f, err := os.Create(filepath.Join(dir, "f"))
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func connection(t *testing.T, path string) *os.File { return file(t, mustDial(t, path), nil) }

func datagram(t *testing.T, path string) *os.File {
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	return file(t, c, err)
}

func tcp(t *testing.T) *os.File {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	return file(t, l, err)
}
