package profile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lnk-suite/lnk/services/profile"
)

// TestWriteFrom: a reader that fails leaves the file as it is, and nothing beside it.
func TestWriteFrom(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := profile.WriteFrom(path, strings.NewReader("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := profile.WriteFrom(path, io.MultiReader(strings.NewReader("new"), iotest.ErrReader(broken)), 0o640)
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	data, err := os.ReadFile(path)
	if string(data) != "old" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); len(entries) != 1 || err != nil {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestSweep: what nobody has written to for an hour goes, everything else stays.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	long := time.Now().Add(-2 * time.Hour)
	for name, at := range map[string]time.Time{".tmp-1": long, ".tmp-2": time.Now(), "file": long, "tmp-3": long} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, ".tmp-4"), 0o700), os.Chtimes(filepath.Join(dir, ".tmp-4"), long, long)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(profile.Sweep(dir), profile.Sweep(filepath.Join(dir, "missing"))); err != nil {
		t.Error(err)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != ".tmp-2 .tmp-4 file tmp-3" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}
