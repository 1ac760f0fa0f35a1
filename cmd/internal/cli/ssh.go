package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/git/transport"
)

// hostKeyAlias is what ssh looks for in known hosts, whatever the Host of the configuration is called.
const hostKeyAlias = "lnk-gitd"

// gitdSocket is a SOCKET argument, or that of the profile in use.
func (a *app) gitdSocket(path string) (string, error) {
	if path != "" {
		return path, nil
	}
	dirs, p, err := a.current()
	if err != nil {
		return "", err
	}
	return dirs.Socket("gitd", p.Peer), nil
}

type proxyArgs struct {
	Socket string `arg:"[SOCKET]"`
	FDPass bool   `json:"fdpass" help:"send the connection over standard output and end: for ssh's ProxyUseFdpass"`
}

func proxyCommand(a *app) *cobra.Command {
	return action[proxyArgs]{
		name:  "proxy",
		short: "connect ssh to the git daemon (for ProxyCommand)",
		long: `Proxy connects to SOCKET, by default that of the git daemon of the profile in use, and waits until the daemon is there to
speak SSH. With --fdpass it then hands the connection itself to ssh and ends; without, it stays and copies between the
connection and standard input and output. ssh runs it; lnk ssh-config prints how.`,
		example: "  ssh -o ProxyCommand='lnk proxy --fdpass' -o ProxyUseFdpass=yes lnk",
		cannot:  "connect to the git daemon",
		exits:   []int{exitNotFound, exitUnavailable},
		run:     a.proxy,
	}.command(a)
}

func (a *app) proxy(_ context.Context, args proxyArgs) error {
	path, err := a.gitdSocket(args.Socket)
	if err != nil {
		return err
	}
	in, inIsFile := a.Stdin.(*os.File)
	out, outIsFile := a.Stdout.(*os.File)
	if !inIsFile || !outIsFile {
		return errors.New("standard input and output are not files")
	}
	socket, err := transport.ConnectSSH(path)
	if err != nil {
		return ipc.Errorf(ipc.Unavailable, "%w", err).WithHint(transport.HintStart)
	}
	if args.FDPass {
		return transport.Pass(out, socket)
	}
	return transport.Relay(in, out, socket)
}

type socketArg struct {
	Socket string `arg:"[SOCKET]"`
}

type knownHost struct {
	Host string `json:"host" cbor:"0,keyasint"`
	Key  string `json:"key" cbor:"1,keyasint"`
}

func knownHostsCommand(a *app) *cobra.Command {
	return verb[socketArg, knownHost]{
		name:  "known-hosts",
		short: "print the git daemon's host key (for KnownHostsCommand)",
		long: `Known-hosts prints the SSH host key of the git daemon behind SOCKET, by default that of the profile in use, as a line of a
known_hosts file. The key is as old as the daemon's process: ssh asks for it on every connection, which keeps the daemon
running meanwhile. Nobody but you can answer on that socket. lnk ssh-config prints how.`,
		example: "  lnk known-hosts",
		cannot:  "tell the host key",
		exits:   []int{exitNotFound, exitUnavailable, exitDeadline, exitInterrupted},
		run: func(ctx context.Context, args socketArg) (knownHost, error) {
			path, err := a.gitdSocket(args.Socket)
			if err != nil {
				return knownHost{}, err
			}
			client, err := a.client(path)
			if err != nil {
				return knownHost{}, err
			}
			defer client.Close()
			result, err := git.HostKey.Call(ctx, client, ipc.Empty{})
			return knownHost{hostKeyAlias, result.Key}, err
		},
		text: func(w io.Writer, k knownHost) error {
			_, err := fmt.Fprintln(w, k.Host, k.Key)
			return err
		},
	}.command(a)
}
