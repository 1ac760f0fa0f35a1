package gitd

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// watchHangup calls hangup if the other side of a connection goes away before stop is called. It looks without reading,
// as what arrives is for git, and is not woken by it: with no events asked for, poll(2) reports the end of both
// directions only. A client that has merely sent all it had is not gone.
func watchHangup(conn *os.File, hangup func()) (stop func()) {
	r, w, err := os.Pipe()
	if err != nil {
		return func() {} // out of files: git notices a lost client itself, only later
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fds := []unix.PollFd{{Fd: int32(conn.Fd())}, {Fd: int32(r.Fd())}}
		for {
			_, err := unix.Poll(fds, -1)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err == nil && fds[0].Revents != 0 && fds[1].Revents == 0 {
				hangup()
			}
			return
		}
	}()
	return func() {
		w.Close()
		<-done
		r.Close()
	}
}
