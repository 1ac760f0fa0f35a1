package profile_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/profile"
)

// TestLock: a folder that somebody else has locked is waited for until ctx ends, or until it is given up.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	var folders [2]*os.File
	for i := range folders {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		folders[i] = f
	}
	if err := profile.Lock(t.Context(), folders[0]); err != nil {
		t.Fatal(err)
	}
	if taken, err := profile.TryLock(folders[1]); taken || err != nil {
		t.Errorf("tried a lock that somebody else has: %v, %v", taken, err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := profile.Lock(brief, folders[1]); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lock that somebody else has: %v", err)
	}
	got := make(chan error, 1)
	go func() { got <- profile.Lock(t.Context(), folders[1]) }()
	folders[0].Close()
	if err := <-got; err != nil {
		t.Error(err)
	}
}
