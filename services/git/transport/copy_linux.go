package transport

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const bufferSize = 1 << 20

// copyFile copies src to dst until src ends. Between git's pipe and the socket the kernel moves the pages (splice); a
// larger pipe lets both ends run further apart. Where an end is something else it falls back to a large buffer.
func copyFile(dst, src *os.File) error {
	in, out := int(src.Fd()), int(dst.Fd())
	growPipe(in)
	growPipe(out)
	for {
		// A splice that waits for a socket keeps the pipe locked, and git from reading what is in it already.
		if err := awaitInput(in); err != nil {
			return err
		}
		n, err := unix.Splice(in, nil, out, nil, bufferSize, unix.SPLICE_F_MOVE)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EINVAL):
			return copyBuffer(dst, src)
		case err != nil:
			return err
		case n == 0:
			return nil
		}
	}
}

func awaitInput(fd int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// growPipe is a wish: the limit is per user, and a file or socket has none.
func growPipe(fd int) {
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, bufferSize)
}

func copyBuffer(dst, src *os.File) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, bufferSize))
	return err
}
