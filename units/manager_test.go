package units

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewManager(t *testing.T) {
	tests := map[string]struct {
		environ []string
		runtime bool
		want    string
	}{
		"home":             {[]string{"HOME=/h", "XDG_RUNTIME_DIR=/r"}, false, "/h/.config/systemd"},
		"configured":       {[]string{"HOME=/h", "XDG_CONFIG_HOME=/c"}, false, "/c/systemd"},
		"relative":         {[]string{"HOME=/h", "XDG_CONFIG_HOME=c"}, false, "/h/.config/systemd"},
		"session":          {[]string{"HOME=/h", "XDG_RUNTIME_DIR=/r"}, true, "/r/systemd"},
		"no session":       {[]string{"HOME=/h"}, true, ""},
		"nothing is known": {nil, false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := NewManager(test.environ, test.runtime)
			if test.want == "" {
				if err == nil {
					t.Errorf("folder %s, want an error", m.Folder)
				}
			} else if err != nil || m.Folder != test.want || m.Runtime != test.runtime {
				t.Errorf("got %+v, %v, want folder %s", m, err, test.want)
			}
		})
	}
}

// Without a user manager nothing may be written, and the error says who is missing.
func TestInstallNowhere(t *testing.T) {
	home := t.TempDir()
	m, err := NewManager([]string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "PATH=" + os.Getenv("PATH")}, false)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Install(t.Context(), Config{Programs: "/usr/bin"})
	if err == nil || !strings.Contains(err.Error(), "systemctl") {
		t.Errorf("error is %v, want one about systemctl", err)
	}
	if left, _ := filepath.Glob(home + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStatusOf(t *testing.T) {
	const shown = `Listen=/run/user/1/radicle/gitd-z6Mk.sock (Stream)
Id=lnk-gitd@z6Mk.socket
ActiveState=active
SubState=running

MainPID=0
NRestarts=7
Result=exit-code
Id=lnk-gitd@z6Mk.service
ActiveState=activating
SubState=auto-restart
`
	units := parseShow(shown)
	got := newStatus("lnk-gitd@z6Mk", units[0], find(units, "lnk-gitd@z6Mk.service"))
	want := Status{Name: "gitd-z6Mk", Unit: "lnk-gitd@z6Mk.socket", Socket: "/run/user/1/radicle/gitd-z6Mk.sock", State: Failed, Restarts: 7, Result: "exit-code"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
