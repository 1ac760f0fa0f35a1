package launchd

import (
	"debug/macho"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestActivateImports builds a caller of Activate for each Mac without cgo and looks at what it links: this is as far
// as the calling convention can be checked on another system.
func TestActivateImports(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "activate")
			build := exec.Command("go", "build", "-o", binary, "./testdata/activate")
			build.Env = append(os.Environ(), "GOOS=darwin", "CGO_ENABLED=0", "GOARCH="+arch)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("cannot build for darwin/%s: %v\n%s", arch, err, out)
			}
			checkImported(t, binary, "_launch_activate_socket", "_free")
		})
	}
}

func checkImported(t *testing.T, binary string, want ...string) {
	t.Helper()
	file, err := macho.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	symbols, err := file.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range want {
		if !slices.Contains(symbols, name) {
			t.Errorf("%s does not import %s", binary, name)
		}
	}
	libraries, err := file.ImportedLibraries()
	if err != nil || !slices.Contains(libraries, "/usr/lib/libSystem.B.dylib") {
		t.Errorf("libraries are %v (%v), want libSystem among them", libraries, err)
	}
}

func TestActivateUnmanaged(t *testing.T) {
	if files, err := Activate("no-such-socket"); len(files) != 0 || !errors.Is(err, ErrNotManaged) {
		t.Errorf("Activate = %v, %v, want ErrNotManaged", files, err)
	}
}
