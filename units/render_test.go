package units

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestRender(t *testing.T) {
	for name, c := range map[string]Config{
		"plain": {Programs: "/usr/bin"},
		"home":  {Programs: `/home/a b/100%/"x"\y/bin`, Environment: []string{"LNK_HOME=/home/a b/100%", "XDG_DATA_HOME=/data"}, Idle: 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := Render(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				golden(t, filepath.Join("testdata", name, filepath.Base(f.Path)), f.Data)
			}
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", path, got)
	}
}

func TestRenderRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"must be an absolute path": {Programs: "bin"},
		"must not be negative":     {Programs: "/bin", Idle: -1},
		"is not NAME=value":        {Programs: "/bin", Environment: []string{"LNK_HOME"}},
		"unit file cannot":         {Programs: "/bin", Environment: []string{"LNK_HOME=/a\nExecStartPre=/bin/sh"}},
	} {
		if _, err := Render(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Render(%+v): error is %v, want one with %q", c, err, name)
		}
	}
	if _, err := Render(Config{Programs: "/b\nin"}); err == nil {
		t.Error("Render took a folder name with a line feed")
	}
}
