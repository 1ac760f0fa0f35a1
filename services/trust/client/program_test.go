package client

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// program is the command lnk trust client, with the arguments that the conformance suite gives it and a program date that
// says what time the test wants it to be.
type program struct{ lnk, path string }

// TestConformanceProgram runs every case of the suite with the real program.
func TestConformanceProgram(t *testing.T) {
	p := newProgram(t)
	for _, c := range conformanceCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newWorld(t, p))
		})
	}
}

func newProgram(t *testing.T) program {
	t.Helper()
	dir := t.TempDir()
	p := program{lnk: filepath.Join(dir, "lnk"), path: dir + string(filepath.ListSeparator) + os.Getenv("PATH")}
	build := exec.Command("go", "build", "-o", p.lnk, "../../../cmd/lnk")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as users get it
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build lnk: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "date"), []byte("#!/bin/sh\n[ \"$*\" = +%s ] && echo $TIME\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p program) init(w *world, root []byte) error {
	file := filepath.Join(w.t.TempDir(), "root.json")
	if err := os.WriteFile(file, root, 0o600); err != nil {
		return err
	}
	return p.run(w, today, "init", file)
}

func (p program) refresh(w *world, now time.Time) error {
	return p.run(w, now, "--metadata-url", w.url+"/metadata/", "refresh")
}

func (p program) download(w *world, target string, now time.Time) error {
	return p.run(w, now, "--metadata-url", w.url+"/metadata/", "--target-name", target, "--target-base-url", w.url+"/targets/", "--target-dir", w.files, "download")
}

// run expects status 0 or 1, as the suite does.
func (p program) run(w *world, now time.Time, args ...string) error {
	w.t.Helper()
	c := exec.Command(p.lnk, append([]string{"trust", "client", "--metadata-dir", w.dir}, args...)...)
	c.Env = []string{"PATH=" + p.path, "HOME=" + w.t.TempDir(), "TIME=" + strconv.FormatInt(now.Unix(), 10)}
	w.settle()
	out, err := c.CombinedOutput()
	w.settle()
	if err == nil {
		return nil
	}
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		w.t.Fatalf("%v ended with %v: %s", args, err, out)
	}
	return fmt.Errorf("%w: %s", err, out)
}
