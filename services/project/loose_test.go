package project

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What is written is new by its date, also if it was there: an object that nothing refers to is removed when it is old, and
// whoever writes it is about to refer to it.
func TestWrittenObjectsAreNew(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	objects := looseObjects{f.objects()}
	write := func() OID {
		t.Helper()
		oid, err := objects.write(kindBlob, []byte("garbage"))
		if err != nil {
			t.Fatal(err)
		}
		return oid
	}
	oid := write()
	old := time.Now().Add(-21 * 24 * time.Hour)
	if err := os.Chtimes(objects.path(oid), old, old); err != nil {
		t.Fatal(err)
	}
	write()
	f.git("prune", "--expire=2.weeks.ago")
	if got := f.git("cat-file", "blob", oid.String()); got != "garbage" {
		t.Errorf("a loose one: %q", got)
	}

	f.git("repack", "-a", "-d", "--cruft", "-q")
	if _, err := os.Stat(objects.path(oid)); err == nil {
		t.Fatal("it is not packed")
	}
	write()
	packs, _ := filepath.Glob(filepath.Join(f.objects(), "pack", "*.mtimes"))
	if len(packs) != 1 {
		t.Fatalf("packs of garbage: %q", packs)
	}
	if info, err := os.Stat(objects.path(oid)); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("a packed one: %v, %v", info, err)
	}
}

// Git removes folders that it empties at any time.
func TestWriteWhileFoldersVanish(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	objects := looseObjects{f.objects()}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			for n := range 256 {
				os.Remove(filepath.Join(f.objects(), fmt.Sprintf("%02x", n)))
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	for n := range 3000 {
		oid, err := objects.write(kindBlob, fmt.Append(nil, n))
		if err == nil {
			err = os.Remove(objects.path(oid))
		}
		if err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	<-stopped
}
