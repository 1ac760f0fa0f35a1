package lnk_test

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestUninstall: make uninstall leaves no file of what make install brought.
func TestUninstall(t *testing.T) {
	dir := t.TempDir()
	if files := filesAfter(t, "install", dir); len(files) == 0 {
		t.Fatal("nothing was installed")
	}
	if files := filesAfter(t, "uninstall", dir); len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}

func filesAfter(t *testing.T, target, dir string) (files []string) {
	t.Helper()
	if out, err := exec.Command("make", target, "DESTDIR="+dir).CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", target, err, out)
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
