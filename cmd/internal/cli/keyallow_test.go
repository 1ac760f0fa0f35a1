package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestAllowAtOnce: each of many that add to one file at the same time, some through a link, finds its line in it.
func TestAllowAtOnce(t *testing.T) {
	const key = "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"
	file := filepath.Join(t.TempDir(), "allowed")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.WriteFile(file, []byte("# ours\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	const writers = 50
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			if _, stderr, status := lnk(t, "key", "allow", []string{file, link}[n%2], fmt.Sprintf("person-%d", n), key); status != exitOK {
				t.Errorf("status %d, %s", status, stderr)
			}
		})
	}
	group.Wait()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range writers {
		if !strings.Contains(string(text), fmt.Sprintf("\nperson-%d ssh-ed25519 ", n)) {
			t.Errorf("the line of person-%d is lost", n)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
