package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

const alice = peer.ID("z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw")

func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func TestNewDirs(t *testing.T) {
	for name, tt := range map[string]struct {
		env  func(string) string
		want Dirs
	}{
		"xdg": {env("HOME", "/home/a", "XDG_CONFIG_HOME", "/c", "XDG_STATE_HOME", "/s", "XDG_DATA_HOME", "/d", "XDG_RUNTIME_DIR", "/r"),
			Dirs{"/c/lnk", "/s/lnk", "/d/lnk", "/r/radicle", ""}},
		"defaults": {env("HOME", "/home/a", "XDG_RUNTIME_DIR", "/r"),
			Dirs{"/home/a/.config/lnk", "/home/a/.local/state/lnk", "/home/a/.local/share/lnk", "/r/radicle", ""}},
		"relative xdg is ignored": {env("HOME", "/home/a", "XDG_CONFIG_HOME", "c", "XDG_RUNTIME_DIR", "/r"),
			Dirs{"/home/a/.config/lnk", "/home/a/.local/state/lnk", "/home/a/.local/share/lnk", "/r/radicle", ""}},
		"LNK_HOME wins": {env("HOME", "/home/a", "LNK_HOME", "/h", "XDG_CONFIG_HOME", "/c", "XDG_RUNTIME_DIR", "/r", "LNK_PROFILE", "p"),
			Dirs{"/h/config", "/h/state", "/h/data", "/r/radicle", "p"}},
		"LNK_HOME alone": {env("LNK_HOME", "/h"), Dirs{"/h/config", "/h/state", "/h/data", "/h/run/radicle", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := NewDirs(tt.env)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	for name, e := range map[string]func(string) string{"no home": env(), "relative LNK_HOME": env("HOME", "/h", "LNK_HOME", "x")} {
		if d, err := NewDirs(e); err == nil {
			t.Errorf("%s: got %+v, want an error", name, d)
		}
	}
}

func TestRuntimeDirFallbacks(t *testing.T) {
	dir := t.TempDir()
	if !ownFolder(dir) {
		t.Error("our own folder is not ours")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, filepath.Join(dir, "missing"), "/dev/null"} {
		if ownFolder(path) {
			t.Errorf("%s passes for our folder", path)
		}
	}
	got := runtimeDir("", "", "/home/a")
	if got != "/home/a/.lnk/run/radicle" && !strings.HasPrefix(got, "/run/user/") {
		t.Errorf("runtime folder is %s", got)
	}
}

func TestSocket(t *testing.T) {
	d := Dirs{Runtime: "/run/user/1000/radicle"}
	if got := d.Socket("bus", ""); got != "/run/user/1000/radicle/bus.sock" {
		t.Error(got)
	}
	if got := d.Socket("gitd", alice); got != "/run/user/1000/radicle/gitd-"+string(alice)+".sock" {
		t.Error(got)
	}
	limit := maxSocketPath("linux")
	full := len("/gitd-") + len(alice) + len(".sock")
	d.Runtime = "/" + strings.Repeat("x", limit-full-1)
	if got := d.Socket("gitd", alice); len(got) != limit || !strings.Contains(got, string(alice)) {
		t.Errorf("a path that just fits is %d bytes: %s", len(got), got)
	}
	d.Runtime += "x"
	if got := d.Socket("gitd", alice); !strings.HasSuffix(got, "/gitd-z6MktwupdmLXVVqT.sock") {
		t.Errorf("a path one byte too long became %s", got)
	}
	if maxSocketPath("darwin") != 103 {
		t.Error("macOS has 104 bytes with the terminating zero")
	}
}
