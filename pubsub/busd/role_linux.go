package busd

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// executable returns the path of a process's program, "" if it is gone.
func executable(pid int32) string {
	file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return file
}

// unit returns the systemd unit a process runs in: the last part of its control group's path, "" if unknown.
func unit(pid int32) string {
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(groups)) {
		if group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path.Base(group)
		}
	}
	return ""
}
