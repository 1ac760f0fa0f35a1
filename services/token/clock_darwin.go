package token

import (
	"time"

	"golang.org/x/sys/unix"
)

// On macOS it is the monotonic clock that counts on during sleep (clock_gettime(3)).
func sinceBoot() (boot string, up time.Duration) {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return "", 0
	}
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return "", 0
	}
	return id, time.Duration(t.Nano())
}
