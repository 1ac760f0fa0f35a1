package main

import (
	"fmt"
	"net"
)

// A transport is one way to send a payload over a UNIX socket and get it back.
type transport struct {
	name   string
	listen func(net.Listener) error
	dial   func(path string) (caller, error)
}

// A caller is one connection to an echo server.
type caller interface {
	// Echo sends a payload and waits for it to come back. It may be called by many goroutines.
	Echo(payload []byte) error
	Close() error
}

// A windower can keep n payloads in flight without a goroutine for each: the floors, and ipc's batch call.
type windower interface {
	// Window echoes the payload count times with at most n in flight.
	Window(payload []byte, n, count int) error
}

// transports are listed in the order in which a round runs them. The first is the floor that ratios refer to.
func transports() []transport {
	return []transport{
		{"raw", serveRaw, dialRaw},
		{"raw coalesced", serveCoalesced, dialCoalesced},
		{"lnk ipc", serveIPC, dialIPC},
		{"lnk batch", serveIPC, dialBatch},
		{"net/rpc", serveNetRPC, dialNetRPC},
		{"ttrpc", serveTTRPC, dialTTRPC},
		{"grpc-go", serveGRPC, dialGRPC},
	}
}

func serveTransport(name, path string) error {
	for _, t := range transports() {
		if t.name == name {
			l, err := net.Listen("unix", path)
			if err != nil {
				return err
			}
			return t.listen(l)
		}
	}
	return fmt.Errorf("no transport %q", name)
}
