package gitd

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lnk-suite/lnk/services/project"
)

// A pack that is large, or to be kept, is not copied, nor one without its other half.
func TestPacks(t *testing.T) {
	r := &repository{disk: project.Repository{Dir: t.TempDir()}}
	write := func(size int64, names ...string) {
		t.Helper()
		for _, name := range names {
			path := filepath.Join(r.packFolder(), name)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll(r.packFolder(), 0o700); err != nil {
		t.Fatal(err)
	}
	write(smallPack-1, "pack-small.idx", "pack-small.pack", "pack-kept.idx", "pack-kept.keep", "pack-kept.pack")
	write(smallPack, "pack-large.idx", "pack-large.pack")
	write(1, "pack-cruft.idx", "pack-cruft.mtimes", "pack-cruft.pack", "pack-half.idx", "pack-other.pack", "tmp_pack_1")
	small, large, err := r.packs()
	if err != nil || !slices.Equal(small, []string{"pack-small"}) || !slices.Equal(large, []string{"pack-kept", "pack-large"}) {
		t.Errorf("small %v, large %v, %v", small, large, err)
	}
	orphans, err := r.orphans()
	if err != nil || len(orphans) != 1 || filepath.Base(orphans[0]) != "pack-half.idx" {
		t.Errorf("orphans %v, %v", orphans, err)
	}
}
