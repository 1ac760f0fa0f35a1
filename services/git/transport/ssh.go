package transport

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// sshGreeting is a line before the SSH banner, which servers skip (RFC 4253 section 4.2). It makes gitd speak first, and
// so tell that it will serve the connection, before ssh gets it.
const sshGreeting = "SSH\r\n"

// ConnectSSH connects to the socket of gitd at path, for an SSH client to use from its banner on. A gitd that was just
// leaving closes without a word, and the next instance is asked.
func ConnectSSH(path string) (*os.File, error) {
	var err error
	for range maxAttempts {
		socket, dialErr := Dial(path)
		if dialErr != nil {
			return nil, dialErr
		}
		if err = greet(socket); err == nil {
			return socket, nil
		}
		socket.Close()
	}
	return nil, fmt.Errorf("gitd closed the connection without an answer, see its log: %w", err)
}

// greet waits for the first byte of gitd's banner and leaves it there.
func greet(socket *os.File) error {
	if _, err := socket.WriteString(sshGreeting); err != nil {
		return err
	}
	var first [1]byte
	for {
		n, _, err := unix.Recvfrom(int(socket.Fd()), first[:], unix.MSG_PEEK)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return errors.New("end of input")
		default:
			return nil
		}
	}
}

// Pass sends file over the socket to, which is how a ProxyCommand with ProxyUseFdpass hands its connection to ssh
// (ssh_config(5)).
func Pass(to, file *os.File) error {
	// The byte is there because a message without data carries no rights on some systems.
	err := unix.Sendmsg(int(to.Fd()), []byte{0}, unix.UnixRights(int(file.Fd())), nil, 0)
	if errors.Is(err, unix.ENOTSOCK) {
		return errors.New("standard output is not a socket: set ProxyUseFdpass yes for ssh, or leave --fdpass out")
	}
	if err != nil {
		return fmt.Errorf("cannot pass the connection on: %w", err)
	}
	return nil
}

// Relay copies in to socket and socket to out until gitd has closed the connection.
func Relay(in, out, socket *os.File) error { return relay(in, out, socket) }
