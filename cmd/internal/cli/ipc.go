package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
)

func ipcCommand(a *app) *cobra.Command {
	return noun("ipc", "look at sockets and call their methods",
		`The daemons answer CBOR calls on UNIX sockets; docs/protocol.md describes the wire. These commands list the sockets, show
what a service offers, call any method, and measure. SOCKET is a path, or a name as "lnk ipc list" prints it: gitd is the gitd of the
profile in use.`,
		ipcList(a), ipcDescribe(a), ipcCall(a), ipcBench(a), ipcEcho(a))
}

// dial returns a client for SOCKET: a path, or the name of a service. Nothing is sent yet.
func (a *app) dial(socket string) (*ipc.Client, error) {
	if !strings.ContainsRune(socket, filepath.Separator) {
		path, err := a.socketPath(socket)
		if err != nil {
			return nil, err
		}
		socket = path
	}
	if isBus(socket) {
		return nil, ipc.Errorf(ipc.Unsupported, "the bus speaks the NATS client protocol").WithHint("use lnk topics, lnk sub and lnk pub")
	}
	return a.client(socket)
}

// isBus reports whether a socket speaks another protocol than CBOR calls.
func isBus(socket string) bool { return filepath.Base(socket) == "bus.sock" }

// userAgent is how lnk introduces itself to services.
const userAgent = "lnk"

// socketPath finds the socket of a service by name: a file of that name, else the one of the profile in use.
func (a *app) socketPath(name string) (string, error) {
	dirs, err := a.dirs()
	if err != nil {
		return "", err
	}
	path := dirs.Socket(name, "")
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	if p, err := dirs.Profile(""); err == nil {
		ofPeer := dirs.Socket(name, p.Peer)
		if _, err := os.Lstat(ofPeer); err == nil {
			return ofPeer, nil
		}
	}
	return "", ipc.Errorf(ipc.Unavailable, "no socket %s in %s", name, dirs.Runtime).
		WithHint("start the suite with lnk up, or see lnk ipc list")
}

type describeArgs struct {
	Socket string `arg:"SOCKET"`
	Method string `arg:"[METHOD]"`
}

func ipcDescribe(a *app) *cobra.Command {
	return verb[describeArgs, ipc.Description]{
		name:  "describe",
		short: "show what a service offers: methods, types, limits",
		long: `Describe asks a service for its methods, limits and the CDDL (RFC 8610) of everything it takes and returns, or for one METHOD
alone. A service that sleeps is started by the question. Of the bus, which takes no calls, it shows the CDDL of the events' data,
of all SCHEMAs that lnk knows or the one that is given in METHOD's place.`,
		example: "  lnk ipc describe gitd\n  lnk ipc describe gitd git.refs",
		cannot:  "describe the service",
		exits:   []int{exitNotFound, exitUnavailable, exitDeadline},
		run: func(ctx context.Context, args describeArgs) (ipc.Description, error) {
			if args.Socket == "bus" || isBus(args.Socket) {
				return describeEvents(args.Method)
			}
			client, err := a.dial(args.Socket)
			if err != nil {
				return ipc.Description{}, err
			}
			defer client.Close()
			description, err := ipc.Describe.Call(ctx, client, ipc.Empty{})
			if err != nil || args.Method == "" {
				return description, err
			}
			return only(description, args.Method)
		},
		text: printDescription,
	}.command(a)
}

// describeEvents shows what the data of events means.
func describeEvents(schema string) (ipc.Description, error) {
	d := ipc.Description{Service: "busd"}
	for _, s := range schemas() {
		if schema == "" || schema == s.Name {
			d.CDDL += "; the data of events with the schema " + s.Name + "\n" + s.CDDL + "\n"
		}
	}
	if d.CDDL == "" {
		return d, ipc.Errorf(ipc.NotFound, "lnk knows no schema %s", schema).WithHint("lnk ipc describe bus lists those that it knows")
	}
	return d, nil
}

// only cuts a description down to one method.
func only(d ipc.Description, method string) (ipc.Description, error) {
	for _, m := range d.Methods {
		if m.Name == method {
			d.Methods, d.CDDL = []ipc.MethodDescription{m}, rulesOf(d.CDDL, method)
			return d, nil
		}
	}
	return d, ipc.Errorf(ipc.NotFound, "%s has no method %s", d.Service, method).WithHint("lnk ipc describe SOCKET lists the methods")
}

func printDescription(w io.Writer, d ipc.Description) error {
	if len(d.Methods) == 0 {
		_, err := fmt.Fprint(w, d.CDDL)
		return err
	}
	fmt.Fprintf(w, "%s %s\n\n", d.Service, d.Version)
	err := table(w, "METHOD\tKIND\tACCESS\t", func(row func(...any)) {
		for _, m := range d.Methods {
			kind := "unary"
			if m.Stream {
				kind = "stream"
			}
			row(m.Name, kind, m.Access, m.Short)
		}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\n%s", d.CDDL)
	return err
}
