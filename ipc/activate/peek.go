package activate

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// Peek waits for the first byte that the peer sends and leaves it there, so that a daemon that speaks several protocols on
// one socket can tell them apart. It is io.EOF if the peer closes without a word.
func (c *Conn) Peek() (byte, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var first [1]byte
	var n int
	var peekErr error
	err = raw.Read(func(fd uintptr) bool {
		n, _, peekErr = unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK)
		return !errors.Is(peekErr, unix.EAGAIN)
	})
	if err := errors.Join(err, peekErr); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	return first[0], nil
}
