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

// A batcher can make many calls without a goroutine for each: the coalesced floor, and ipc.
type batcher interface {
	// Batch echoes the payload n times, with as many in flight as it likes.
	Batch(payload []byte, n int) error
}

// A windower is a floor: it keeps payloads in flight without a goroutine for each.
type windower interface {
	// Window echoes the payload count times with at most n in flight.
	Window(payload []byte, n, count int) error
}

// The transports that something refers to.
const (
	raw = iota
	coalesced
	lnk
)

// transports are listed in the order in which a round runs them.
func transports() []transport {
	return []transport{
		{"raw", serveRaw, dialRaw},
		{"raw coalesced", serveCoalesced, dialCoalesced},
		{"lnk ipc", serveIPC, dialIPC},
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
			go serveAllocations(path + allocations)
			return t.listen(l)
		}
	}
	return fmt.Errorf("no transport %q", name)
}
