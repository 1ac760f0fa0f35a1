package supervisor

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// procAttr puts the daemon into its own group, so that an interrupt typed at the supervisor does not reach it before the
// supervisor decides, and lets the kernel end it when the thread that started it dies.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// awaitExit waits for the process without reaping it, so that its id, which is also that of its group, stays taken.
func awaitExit(pid int) {
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}
