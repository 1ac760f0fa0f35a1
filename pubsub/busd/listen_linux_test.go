package busd_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestListensOnNothingElse looks at the sockets that the process has, and for them in the kernel's lists of IP sockets.
func TestListensOnNothingElse(t *testing.T) {
	b := newBus(t, time.Minute)
	b.supervise()
	if _, err := b.client().Publish(t.Context(), numbered(1, 3)...); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	proc := fmt.Sprintf("/proc/%d/", b.cmd.Process.Pid)
	b.mu.Unlock()
	fds, err := os.ReadDir(proc + "fd")
	if err != nil {
		t.Fatal(err)
	}
	var inodes []string
	for _, fd := range fds {
		target, _ := os.Readlink(proc + "fd/" + fd.Name())
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	if len(inodes) < 2 {
		t.Fatalf("found %d sockets, expected the listener and a connection", len(inodes))
	}
	for _, kind := range []string{"tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6", "packet"} {
		table, err := os.ReadFile(proc + "net/" + kind)
		if err != nil {
			continue // not in this kernel
		}
		for line := range strings.Lines(string(table)) {
			if slices.ContainsFunc(strings.Fields(line), func(f string) bool { return slices.Contains(inodes, f) }) {
				t.Errorf("the bus has a %s socket: %s", kind, line)
			}
		}
	}
}
