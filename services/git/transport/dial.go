package transport

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// HintStart tells how to get the daemons running; Dial's errors wrap the cause, callers show the hint beside it.
const HintStart = "start the daemons with `lnk up`, or install them with `lnk service install`"

// Dial connects to a UNIX socket and returns it as a file in blocking mode. It checks first that nobody but this user
// (or root) could have put the socket there, since what is sent contains the path of an agent and is answered with code.
func Dial(path string) (*os.File, error) {
	if err := checkOwner(path); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket: %w", err)
	}
	unix.CloseOnExec(fd)
	for {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return os.NewFile(uintptr(fd), path), nil
	}
	unix.Close(fd)
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil, fmt.Errorf("nothing listens on %s: %w", path, err)
	}
	return nil, fmt.Errorf("cannot connect to %s: %w", path, err)
}

// checkOwner refuses a socket that another user owns or could have replaced.
func checkOwner(path string) error {
	var socket, dir unix.Stat_t
	if err := unix.Lstat(path, &socket); err != nil {
		return fmt.Errorf("no socket at %s: %w", path, err)
	}
	if err := unix.Stat(filepath.Dir(path), &dir); err != nil {
		return fmt.Errorf("cannot look at the folder of %s: %w", path, err)
	}
	switch me := uint32(os.Geteuid()); {
	case socket.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return fmt.Errorf("%s is not a socket", path)
	case socket.Uid != me && socket.Uid != 0, dir.Uid != me && dir.Uid != 0:
		return fmt.Errorf("%s belongs to another user", path)
	case dir.Mode&0o022 != 0:
		return fmt.Errorf("others may write to the folder of %s: make it private with chmod 700", path)
	}
	return nil
}

func closeWrite(socket *os.File) {
	conn, err := socket.SyscallConn()
	if err != nil {
		return
	}
	// The peer may have closed already, which is as good.
	_ = conn.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
}
