package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestStoredSince: a wait for the disk is for what has come and not for all that is there, nor for what others still write.
func TestStoredSince(t *testing.T) {
	f := newFixture(t, 1, signer(1))
	old := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(f.objects(), func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, old, old))
	})
	if err != nil {
		t.Fatal(err)
	}
	loose, packed := filepath.Join(f.objects(), "ab", "cdef"), filepath.Join(f.objects(), "pack", "pack-1.pack")
	want := []string{f.objects(), filepath.Dir(loose), filepath.Dir(packed), loose, packed}
	unfinished := []string{
		filepath.Join(f.objects(), "tmp_objdir-incoming-1", "ab", "cdef"), filepath.Join(f.objects(), "ab", "tmp_obj_1"),
		filepath.Join(f.objects(), "pack", "tmp_pack_1"), filepath.Join(f.objects(), "pack", ".tmp-1-pack-1.pack"),
	}
	for _, path := range append(unfinished, loose, packed) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, path, "new")
	}
	got, err := f.storedSince(time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	f.git("pack-refs", "--all")
	if err := f.Sync(time.Now().Add(-time.Minute), IdentityRef, "refs/heads/gone"); err != nil {
		t.Error(err)
	}
}
