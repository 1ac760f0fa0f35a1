package ipc

import (
	"context"
	"sync"
	"syscall"

	"github.com/lnk-suite/lnk/ipc/peercred"
)

// peerOnce asks the kernel who is at the other end of a connection, once and only if somebody wants to know.
type peerOnce struct {
	once sync.Once
	cred peercred.Cred
	ok   bool
}

func (p *peerOnce) of(conn any) (peercred.Cred, bool) {
	p.once.Do(func() {
		c, ok := conn.(syscall.Conn)
		if !ok {
			return
		}
		cred, err := peercred.Of(c)
		p.cred, p.ok = cred, err == nil
	})
	return p.cred, p.ok
}

// PeerFrom returns who calls, from the context of a handler. It is false outside of handlers and for connections that are
// not UNIX sockets.
func PeerFrom(ctx context.Context) (peercred.Cred, bool) {
	k, ok := ctx.Value(connKey{}).(*serverConn)
	if !ok {
		return peercred.Cred{}, false
	}
	return k.peer.of(k.net)
}
