package profile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

func newDirs(t *testing.T, pairs ...string) Dirs {
	t.Helper()
	d, err := NewDirs(env(append([]string{"LNK_HOME", t.TempDir()}, pairs...)...))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestProfiles(t *testing.T) {
	d := newDirs(t)
	if got, err := d.Profiles(); err != nil || len(got) != 0 {
		t.Fatalf("a fresh home has profiles %v, %v", got, err)
	}
	if _, err := d.Profile(""); !errors.Is(err, ipc.NotFound) || ipc.HintOf(err) != "lnk profile create NAME" {
		t.Errorf("no active profile: %v", err)
	}
	want := Profile{Name: "work", Peer: alice, Key: d.KeyFile("work"), AgentSocket: "/run/agent.sock"}
	for _, p := range []Profile{want, {Name: "home", Peer: alice}} {
		if err := d.SaveProfile(p); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.Profiles()
	if err != nil || len(got) != 2 || got[0].Name != "home" || got[1] != want {
		t.Errorf("profiles are %+v, %v", got, err)
	}
	if err := d.SetActive("work"); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Profile(""); err != nil || got != want {
		t.Errorf("the active profile is %+v, %v", got, err)
	}
	d.Selected = "home"
	if got, err := d.Profile(""); err != nil || got.Name != "home" {
		t.Errorf("the selected profile is %+v, %v", got, err)
	}
	if err := d.SetActive("nobody"); !errors.Is(err, ipc.NotFound) || ipc.HintOf(err) != "lnk profile create nobody" {
		t.Errorf("activating a missing profile: %v", err)
	}
	if err := d.SetActive(""); err == nil {
		t.Error("activating no profile succeeds")
	}
}

// TestCalled: a command line names a profile where another could be meant, also one that cannot be read.
func TestCalled(t *testing.T) {
	const bob = peer.ID("z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")
	d := newDirs(t)
	check := func(want string) {
		t.Helper()
		if got := d.Called(alice); got != want {
			t.Errorf("it is called %q, want %q", got, want)
		}
	}
	save := func(p Profile) {
		t.Helper()
		if err := d.SaveProfile(p); err != nil {
			t.Fatal(err)
		}
	}
	check("")
	save(Profile{Name: "work", Peer: alice})
	check("")
	if err := os.WriteFile(d.profileFile("broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("work")
	save(Profile{Name: "broken", Peer: bob})
	check("work")
	save(Profile{Name: "work", Peer: bob})
	check("")
}

func TestSaveProfileRefuses(t *testing.T) {
	d := newDirs(t)
	for _, p := range []Profile{
		{Name: "", Peer: alice}, {Name: "../x", Peer: alice}, {Name: ".x", Peer: alice}, {Name: "a/b", Peer: alice}, {Name: "A", Peer: alice},
		{Name: strings.Repeat("a", 65), Peer: alice}, {Name: "a"}, {Name: "a", Peer: "z6Mk"}, {Name: "a", Peer: alice, Key: "relative"},
		{Name: "a", Peer: alice, AgentSocket: "relative"}, {Name: "-a", Peer: alice},
	} {
		if err := d.SaveProfile(p); err == nil {
			t.Errorf("%+v was saved", p)
		}
	}
	if entries, _ := os.ReadDir(d.Config); len(entries) != 0 {
		t.Errorf("refused profiles left %v", entries)
	}
}

// TestBrokenProfile checks that one bad file is named and does not take the others with it.
func TestBrokenProfile(t *testing.T) {
	d := newDirs(t)
	if err := d.SaveProfile(Profile{Name: "good", Peer: alice}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"unknown": "peer = \"" + string(alice) + "\"\ncolour = \"red\"\n", "syntax": "peer = ", "empty": "", "other": "peer = 1\n",
		"did": "peer = \"did:key:" + string(alice) + "\"\n",
	} {
		path := d.profileFile(name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := d.Profiles()
		if err == nil || !strings.Contains(err.Error(), path) || len(got) != 1 || got[0].Name != "good" {
			t.Errorf("%s: profiles are %v, %v", name, got, err)
		}
		os.Remove(path)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"first", "second, longer"} {
		if err := WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("file holds %q, %v", got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if err := CreateFile(path, []byte("third"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateFile over a file: %v", err)
	}
	if err := CreateFile(path+"2", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(path, "x"), nil, 0o600); err == nil {
		t.Error("writing below a file succeeds")
	}
	if err := WriteFile(filepath.Dir(path), nil, 0o600); err == nil {
		t.Error("writing over a folder succeeds")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("temporary files stay behind: %v, %v", entries, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("peer = \"" + string(alice) + "\"\nkey = \"/k\"\n")
	f.Add("[a]\nb = 1")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := decode([]byte(s)); err == nil && p.check() != nil {
			t.Fatalf("%q decodes to %+v, which is not valid", s, p)
		}
	})
}
