package cli

import (
	"context"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/supervisor"
)

// tcpServices are the services that can be reached over TCP, with the names of their sockets.
var tcpServices = map[string]string{"trustd": "trust"}

// tcpGateways reads --tcp SERVICE=ADDRESS.
func tcpGateways(dirs profile.Dirs, list []string) ([]supervisor.Gateway, error) {
	var all []supervisor.Gateway
	for _, one := range list {
		service, address, ok := strings.Cut(one, "=")
		socket, known := tcpServices[service]
		if !ok || !known {
			return nil, ipc.Errorf(ipc.BadRequest, "--tcp %s does not name a service that listens on TCP", one).WithHint("--tcp trustd=127.0.0.1:8080")
		}
		all = append(all, supervisor.Gateway{Address: address, Path: dirs.Socket(socket, "")})
	}
	return all, nil
}

type gatewayArgs struct {
	Service string `arg:"SERVICE"`
}

func gatewayCommand(a *app) *cobra.Command {
	return action[gatewayArgs]{
		name:  "gateway",
		short: "carry a connection over TCP to a service (for a socket unit)",
		long: `Gateway carries the TCP connection that is its standard input to the socket of SERVICE, which is trustd, and tells it where the
connection comes from: whoever is there is not taken for you, and needs a token to change anything. Connections to an address other
than loopback are refused, as nothing is encrypted. The service manager runs it for each connection to the unit lnk-trustd-http.socket;
without one, "lnk up --tcp" listens.`,
		example: "  systemctl --user enable --now lnk-trustd-http.socket",
		cannot:  "carry the connection",
		exits:   []int{exitUnavailable, exitInterrupted},
		run:     a.gateway,
	}.command(a)
}

func (a *app) gateway(ctx context.Context, args gatewayArgs) error {
	name, known := tcpServices[args.Service]
	if !known {
		return ipc.Errorf(ipc.BadRequest, "%q does not name a service that is reached over TCP", args.Service).WithHint("lnk gateway trustd")
	}
	dirs, err := a.dirs()
	if err != nil {
		return err
	}
	conn, err := a.stdinConn()
	if err != nil {
		return err
	}
	return supervisor.Carry(ctx, conn, dirs.Socket(name, ""))
}

// stdinConn is the connection that the service manager has accepted.
func (a *app) stdinConn() (*net.TCPConn, error) {
	if file, ok := a.Stdin.(*os.File); ok {
		if c, err := net.FileConn(file); err == nil {
			_ = file.Close() // a copy would keep the connection open
			if tcp, ok := c.(*net.TCPConn); ok {
				return tcp, nil
			}
			_ = c.Close()
		}
	}
	return nil, ipc.Errorf(ipc.BadRequest, "standard input is no TCP connection").
		WithHint("leave it to the service manager: systemctl --user enable --now lnk-trustd-http.socket")
}
