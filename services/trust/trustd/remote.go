package trustd

import (
	"bufio"
	"errors"
	"net"
	"slices"
	"strings"
	"time"
)

// maxAnnouncement is the length of the longest line of the PROXY protocol, version 1.
const maxAnnouncement = 107

// announcedFields are the word PROXY, the family, two addresses and two ports.
const announcedFields = 6

// unwrap tells a connection that a gateway carries from one of the user's own: the former begins with a line of the PROXY
// protocol (supervisor.Gateway), and whoever is behind it, at the address remote, is not known to be the user.
func unwrap(c net.Conn) (conn net.Conn, remote string, err error) {
	const announcement = "PROXY "
	in := bufio.NewReaderSize(c, 4096)
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, "", err
	}
	start, err := in.Peek(1)
	if err == nil && start[0] == announcement[0] { // or POST, PUT, PATCH
		start, err = in.Peek(len(announcement))
	}
	if err != nil {
		return nil, "", err
	}
	if string(start) == announcement {
		line, err := in.ReadSlice('\n')
		fields := strings.Fields(string(line))
		if err != nil || len(line) > maxAnnouncement || !strings.HasSuffix(string(line), "\r\n") || len(fields) != announcedFields {
			return nil, "", errors.New("a gateway announced a connection in a way that nobody knows")
		}
		remote = net.JoinHostPort(fields[2], fields[4])
		if first, err := in.Peek(1); err != nil || first[0] == 0 {
			return nil, "", errors.New("frames are for the user's own connections; HTTP is for all")
		}
	}
	return buffered{c, in}, remote, c.SetReadDeadline(time.Time{})
}

// buffered is a connection of which something was read already. Whoever takes nothing of what is written is not waited for.
type buffered struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// pieceSize is how many bytes a client has to take within our patience.
const pieceSize = 64 << 10

// Write implements net.Conn.
func (b buffered) Write(p []byte) (written int, err error) {
	for piece := range slices.Chunk(p, pieceSize) {
		if err := b.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return written, err
		}
		n, err := b.Conn.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
