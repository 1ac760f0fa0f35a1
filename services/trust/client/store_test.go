package client

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestFolderIsShared: many at once in one folder take turns, and the newest stays.
func TestFolderIsShared(t *testing.T) {
	w := newWorld(t, ours{})
	w.begin()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if err := w.who.refresh(w, today); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		w.mu.Lock()
		w.publish("root", "targets", "snapshot", "timestamp")
		w.mu.Unlock()
	}
	all.Wait()
	w.refresh(good)
	w.trusts("root 21, snapshot 21, targets 21, timestamp 21")
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	f, err := OpenFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, role := range []string{"root", "../root", "a/b", "..", "\x00"} {
		if _, err := f.Load(role); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", role, err)
		}
		if err := f.Save(role, []byte(role)); err != nil {
			t.Errorf("%q: %v", role, err)
		}
	}
	for _, role := range []string{"root", "../root", "a/b", "..", "\x00"} {
		if data, err := f.Load(role); string(data) != role || err != nil {
			t.Errorf("%q: %q, %v", role, data, err)
		}
	}
	if entries, err := os.ReadDir(dir); len(entries) != 5 || err != nil {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := OpenFolder(t.Context(), filepath.Join(dir, "root.json")); err == nil {
		t.Error("a file is a folder")
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenFolder(interrupted, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while another has the folder: %v", err)
	}
}

// TestStoreFails: what cannot be read or kept is told.
func TestStoreFails(t *testing.T) {
	w := newWorld(t, ours{})
	w.begin()
	w.refresh(good)
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		path := filepath.Join(w.dir, role+".json")
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		w.refresh(bad)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		w.refresh(good)
	}
	for name, junk := range map[string]string{"timestamp": "", "snapshot": "{}", "targets": "{"} {
		if err := os.WriteFile(filepath.Join(w.dir, name+".json"), []byte(junk), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.refresh(good)
	w.trusts("root 1, snapshot 1, targets 1, timestamp 1")
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{"bins-0": "bins-0", "ü": "ü", "a\x1b[2J": `"a\x1b[2J"`, "a\nb": `"a\nb"`, `a"b`: `"a\"b"`, "": ""} {
		if got := plain(text); got != want {
			t.Errorf("%q is shown as %s", text, got)
		}
	}
}
