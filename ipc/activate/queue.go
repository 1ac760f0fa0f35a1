package activate

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// somebodyWaits reports whether a connection is in the queue of l, or comes within the time.
func somebodyWaits(l *net.UnixListener, within time.Duration) bool {
	raw, err := l.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	pollErr := error(unix.EINTR)
	err = raw.Control(func(fd uintptr) {
		for errors.Is(pollErr, unix.EINTR) {
			n, pollErr = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(within.Milliseconds()))
		}
	})
	return errors.Join(err, pollErr) == nil && n > 0
}
