package gitd

import "golang.org/x/sys/unix"

// limitProcess bounds a process and what it starts (prlimit(2)). The process has only just begun, so none of it matters
// yet if it goes wrong: it may have ended already.
func limitProcess(pid int, limits Limits) {
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_AS:    uint64(limits.Memory),
		unix.RLIMIT_CPU:   uint64(limits.CPU),
		unix.RLIMIT_FSIZE: uint64(limits.Input) * 2, // a pack that arrives thin is completed with the bases of its deltas
		unix.RLIMIT_CORE:  0,
	} {
		_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: limit, Max: limit}, nil)
	}
}

// yieldProcess lets a process have the processor and the disk only when nobody else wants them (ioprio_set(2)). It is a wish.
func yieldProcess(pid int) {
	const process, idleClass, classShift = 1, 3, 13
	_ = unix.Setpriority(unix.PRIO_PROCESS, pid, lowestPriority)
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, process, uintptr(pid), idleClass<<classShift)
}
