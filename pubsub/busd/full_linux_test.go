package busd_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/pubsub/busd/busdtest"
)

// TestDiskFull fills the disk under a running bus, under one that starts, and makes room again.
func TestDiskFull(t *testing.T) {
	dir, err := os.MkdirTemp("", "full")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("a small file system can be mounted only as root: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	bus := busdtest.Start(t, busd.Config{Dir: filepath.Join(dir, "store"), Log: slog.New(slog.NewTextHandler(log, nil))})
	c := pubsub.NewClient(bus.Socket, "test")
	t.Cleanup(func() { c.Close() })
	publish := func(from, to int) ([]pubsub.Ack, error) {
		msgs := numbered(from, to)
		for i := range msgs {
			msgs[i].Data = make([]byte, 8<<10) // does not fit into what is left of the last page
		}
		return c.Publish(limited(t), msgs...)
	}
	if _, err := publish(1, 3); err != nil {
		t.Fatal(err)
	}

	ballast := fill(t, dir)
	refused(t, "with the disk full", publish)
	refused(t, "again", publish)
	if got := ids(t, c); len(got) != 3 {
		t.Errorf("with the disk full %d of 3 events can be read", len(got))
	}
	bus.Restart()
	refused(t, "after a restart with the disk full", publish)
	if got := ids(t, c); len(got) != 3 {
		t.Errorf("after a restart with the disk full %d of 3 events can be read", len(got))
	}
	if lines, err := os.ReadFile(log.Name()); err != nil || !strings.Contains(string(lines), "the disk is full") {
		t.Errorf("the log does not say so: %v\n%s", err, lines)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		acks, err := publish(4, 103)
		if err == nil {
			if acks[0].Seq != 4 || acks[99].Seq != 103 {
				t.Errorf("the first event with room got number %d, the last %d", acks[0].Seq, acks[99].Seq)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with room again: %v", err)
		}
	}
	if got := ids(t, c); len(got) != 103 {
		t.Errorf("%d of 103 events are stored", len(got))
	}
}

// fill leaves no room on the file system of dir.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); ; {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			return path
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// refused expects a quick and clear refusal of small publications and of batches.
func refused(t *testing.T, when string, publish func(from, to int) ([]pubsub.Ack, error)) {
	t.Helper()
	for _, last := range []int{4, 103} {
		began := time.Now()
		acks, err := publish(4, last)
		if !errors.Is(err, ipc.ResourceExhausted) || ipc.HintOf(err) == "" || len(acks) != 0 {
			t.Errorf("%s, %d messages: %d acknowledged, %v (hint %q)", when, last-3, len(acks), err, ipc.HintOf(err))
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s the refusal took %v", when, took)
		}
	}
}
