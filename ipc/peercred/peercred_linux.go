package peercred

import (
	"errors"

	"golang.org/x/sys/unix"
)

// errNoPeer is what Linux does not say by itself: on other sockets it reports pid 0 and uid -1 as if that were somebody.
var errNoPeer = errors.New("not a connected UNIX socket")

func ask(fd int) (Cred, error) {
	u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Cred{}, err
	}
	if u.Uid == ^uint32(0) {
		return Cred{}, errNoPeer
	}
	return Cred{UID: u.Uid, GID: u.Gid, PID: u.Pid}, nil
}
