// Package peercred tells who is at the other end of a UNIX socket.
//
// It owns the two system calls behind that question, without cgo. It does not own the decision what a caller may do:
// ipc/activate refuses foreign users, handlers read the credentials that ipc passes along.
package peercred

import (
	"fmt"
	"syscall"
)

// Cred is the process at the other end at the time when it connected (or, seen from a client, when it listened: with
// socket activation that is the service manager, so PID says nothing about the server).
type Cred struct {
	// UID and GID are the effective ids. They stay true after the process is gone.
	UID, GID uint32
	// PID is 0 where unknown. It may have been reused since: good for a log line, not for a decision.
	PID int32
}

// Of asks the kernel who is at the other end of c, a connected UNIX socket. Any other socket is an error.
//
// Source: SO_PEERCRED in unix(7) on Linux, LOCAL_PEERCRED in unix(4) on macOS.
func Of(c syscall.Conn) (Cred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Cred{}, fmt.Errorf("cannot read peer credentials: %w", err)
	}
	var cred Cred
	var errAsk error
	if err := raw.Control(func(fd uintptr) { cred, errAsk = ask(int(fd)) }); err != nil {
		return Cred{}, fmt.Errorf("cannot read peer credentials: %w", err)
	}
	if errAsk != nil {
		return Cred{}, fmt.Errorf("cannot read peer credentials: %w", errAsk)
	}
	return cred, nil
}
