package busd

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// executable returns the path of a process's program, "" if it is gone. The kernel's answer starts with the number
// of arguments as a 32-bit integer, then comes the path.
func executable(pid int32) string {
	args, err := unix.SysctlRaw("kern.procargs2", int(pid))
	if err != nil || len(args) < 4 {
		return ""
	}
	file, _, _ := bytes.Cut(args[4:], []byte{0})
	return string(file)
}

// unit is always "": launchd has no control groups.
func unit(int32) string { return "" }
