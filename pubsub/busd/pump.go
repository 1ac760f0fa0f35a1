package busd

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// proxyHeader returns a PROXY protocol version 2 header (haproxy's proxy-protocol.txt, section 2.2) for a connection
// from fd00::<uid>:<pid>:<id>, which also makes the server's own lists of connections readable. UNIX addresses, which
// the protocol has too, are refused by nats-server.
func proxyHeader(uid uint32, pid int32, id uint32) []byte {
	const command, tcp6, addresses = 0x21, 0x21, 36
	head := append(make([]byte, 0, 16+addresses), "\r\n\r\n\x00\r\nQUIT\n"...)
	head = append(head, command, tcp6, 0, addresses)
	head = append(head, 0xfd, 0, 0, 0)
	head = binary.BigEndian.AppendUint32(head, uid)
	head = binary.BigEndian.AppendUint32(head, uint32(pid))
	head = binary.BigEndian.AppendUint32(head, id)
	return append(head, make([]byte, 16+4)...) // no destination, no ports
}

// roles says which role each connection has, by the number in its PROXY header. It is the server's authentication
// hook: the client's own claims play no part.
type roles struct{ byID sync.Map }

// Check implements server.Authentication.
func (r *roles) Check(c server.ClientAuthentication) bool {
	addr := c.RemoteAddress()
	if addr == nil {
		return false
	}
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return false
	}
	ip := net.ParseIP(host).To16()
	if ip == nil {
		return false
	}
	role, ok := r.byID.Load(binary.BigEndian.Uint32(ip[12:]))
	if !ok {
		return false
	}
	c.RegisterUser(role.(Role).user())
	return true
}

// pump copies between a client and the pipe into the server until either ends, head going first. The pipe has no
// buffer and the server speaks first, so reading from it starts before head is written.
func pump(client, pipe net.Conn, head []byte) {
	var toClient sync.WaitGroup
	toClient.Go(func() {
		io.Copy(deadlineWriter{client}, pipe)
		client.Close()
		pipe.Close()
	})
	if _, err := pipe.Write(head); err == nil {
		io.Copy(pipe, struct{ io.Reader }{client})
	}
	pipe.Close()
	client.Close()
	toClient.Wait()
}

// deadlineWriter gives up on a client that does not read: the server has hung up on it by then, which nobody would
// notice while this side waits for room in the socket.
type deadlineWriter struct{ net.Conn }

// Write implements io.Writer.
func (w deadlineWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(2 * writeDeadline)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}
