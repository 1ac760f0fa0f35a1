//go:build !linux

package supervisor

import "syscall"

// procAttr cannot tie the daemon's life to ours here: a daemon outlives a supervisor that is killed until it is idle.
func procAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit leaves it to the caller's Wait.
func awaitExit(int) {}
