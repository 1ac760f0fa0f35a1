package main

import (
	"context"
	"net"

	"github.com/lnk-suite/lnk/ipc"
)

var echo = ipc.Unary[[]byte, []byte]{Name: "bench.echo", Access: ipc.Read, Short: "answer with the argument", Inline: true}

func serveIPC(l net.Listener) error {
	mux := ipc.NewMux("bench", "1")
	echo.Handle(mux, func(_ context.Context, payload []byte) ([]byte, error) { return payload, nil })
	server := &ipc.Server{Mux: mux}
	return acceptAll(l, func(c net.Conn) { server.ServeConn(context.Background(), c, nil) })
}

type ipcConn struct{ *ipc.Client }

func dialIPC(path string) (caller, error) { return ipcConn{ipc.NewClient(path, "bench")}, nil }

// Window is a batch: it keeps as many calls in flight as it likes.
func (c batchConn) Window(payload []byte, _, count int) error {
	same := func(yield func([]byte) bool) {
		for range count {
			if !yield(payload) {
				return
			}
		}
	}
	for _, err := range echo.Batch(context.Background(), c.Client, same) {
		if err != nil {
			return err
		}
	}
	return nil
}

type batchConn struct{ ipcConn }

func dialBatch(path string) (caller, error) {
	return batchConn{ipcConn{ipc.NewClient(path, "bench")}}, nil
}

func (c ipcConn) Echo(payload []byte) error {
	if len(payload) > 64 {
		return echo.View(context.Background(), c.Client, payload, func([]byte) error { return nil })
	}
	_, err := echo.Call(context.Background(), c.Client, payload)
	return err
}
