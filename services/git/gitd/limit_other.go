//go:build !linux

package gitd

import "golang.org/x/sys/unix"

// limitProcess does nothing: other systems let a process limit only itself, and git's own limits remain.
func limitProcess(int, Limits) {}

// yieldProcess lets a process have the processor only when nobody else wants it. It is a wish.
func yieldProcess(pid int) { _ = unix.Setpriority(unix.PRIO_PROCESS, pid, lowestPriority) }
