package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// errReaderGone is the cause of a context that ended because nobody reads the output any more. The status is that of a
// program that SIGPIPE ended.
var errReaderGone = &exitError{status: 128 + int(syscall.SIGPIPE)}

// whileRead returns a context that ends when the reader of w has gone, so that "lnk sub … | head -n 1" does not wait for
// an event that nobody will see. The function that comes with it stops watching.
func whileRead(ctx context.Context, w io.Writer) (context.Context, func(), error) {
	file, ok := w.(*os.File)
	if !ok {
		return ctx, func() {}, nil
	}
	stopped, stop, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		if awaitHangUp(int(file.Fd()), int(stopped.Fd())) {
			cancel(errReaderGone)
		}
	})
	return ctx, func() {
		stop.Close()
		watching.Wait()
		stopped.Close()
		cancel(nil)
	}, nil
}

// awaitHangUp reports whether fd lost its reader, false if stopped did first.
func awaitHangUp(fd, stopped int) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(fd)}, {Fd: int32(stopped)}} // no events: errors and hang-ups are always told
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
		if fds[1].Revents != 0 || fds[0].Revents&unix.POLLNVAL != 0 { // macOS cannot watch terminals
			return false
		}
		if fds[0].Revents != 0 {
			return true
		}
	}
}
