package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// Gateway lets clients on TCP reach the socket of a service that speaks HTTP. Anybody can connect there, so the gateway
// begins each connection to the socket with a line of the PROXY protocol (version 1), by which the daemon knows that its
// client is not the user that runs it. The gateway understands nothing of what follows.
type Gateway struct {
	// Address is a loopback address with port, "127.0.0.1:8080". There is no encryption.
	Address string
	// Path is the socket.
	Path string
}

// gateways are those that listen.
type gateways struct {
	log       *slog.Logger
	listeners []net.Listener
	running   sync.WaitGroup
}

// openGateways listens on all addresses or on none.
func openGateways(ctx context.Context, list []Gateway, log *slog.Logger) (*gateways, error) {
	g := &gateways{log: log}
	for _, one := range list {
		l, err := one.listen(ctx)
		if err != nil {
			g.close()
			return nil, err
		}
		g.listeners = append(g.listeners, l)
		g.running.Go(func() { g.serve(ctx, l, one.Path) })
	}
	return g, nil
}

func (g Gateway) listen(ctx context.Context) (net.Listener, error) {
	host, _, err := net.SplitHostPort(g.Address)
	if err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "cannot listen on %s: %w", g.Address, err)
	}
	if host != "localhost" {
		if err := checkLoopback(net.ParseIP(host), g.Address); err != nil {
			return nil, err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", g.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, ipc.Errorf(ipc.Conflict, "cannot listen on %s: another process already does", g.Address)
	}
	return l, err
}

func checkLoopback(ip net.IP, address string) error {
	if ip.IsLoopback() {
		return nil
	}
	return ipc.Errorf(ipc.BadRequest, "cannot listen on %s: it is no loopback address, and nothing is encrypted", address).
		WithHint("listen on 127.0.0.1 and put a proxy with TLS in front")
}

// close ends the listeners and waits until the connections have ended, which they do when their daemons do.
func (g *gateways) close() {
	for _, l := range g.listeners {
		_ = l.Close()
	}
	g.running.Wait()
}

func (g *gateways) serve(ctx context.Context, l net.Listener, path string) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			g.log.Error("cannot accept for now", "err", err, "address", l.Addr())
			select {
			case <-ctx.Done():
				return
			case <-time.After(acceptPause):
			}
			continue
		}
		g.running.Go(func() {
			if err := Carry(ctx, c.(*net.TCPConn), path); err != nil {
				g.log.Warn("a connection over TCP failed", "err", err, "socket", path)
			}
		})
	}
}

const acceptPause = 50 * time.Millisecond

// Carry carries one connection that somebody else accepted, as a Gateway does: to the socket at path, until both directions
// have ended, or ctx has. It closes the connection. One that came to an address other than loopback is ipc.BadRequest.
func Carry(ctx context.Context, from *net.TCPConn, path string) error {
	defer from.Close()
	at := from.LocalAddr().(*net.TCPAddr)
	if err := checkLoopback(at.IP, at.String()); err != nil {
		return err
	}
	dialled, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	to := dialled.(*net.UnixConn)
	defer to.Close()
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(from.Close(), to.Close()) })
	defer stop()
	if _, err := io.WriteString(to, announcement(from)); err != nil {
		return err
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(from, to)
		_ = from.CloseWrite()
		_ = from.CloseRead() // the daemon has said all that it will
	})
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
	answers.Wait()
	return nil
}

// announcement is the first line that the daemon reads.
func announcement(c *net.TCPConn) string {
	client, server := c.RemoteAddr().(*net.TCPAddr), c.LocalAddr().(*net.TCPAddr)
	family := "TCP6"
	if client.IP.To4() != nil && server.IP.To4() != nil {
		family = "TCP4"
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, client.IP, server.IP, client.Port, server.Port)
}
