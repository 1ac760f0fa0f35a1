package main

import (
	"context"
	"iter"
	"net"
	"sync/atomic"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

var (
	echo  = ipc.Unary[[]byte, []byte]{Name: "bench.echo", Access: ipc.Read, Short: "answer with the argument", Inline: true}
	count = ipc.Stream[uint64, uint64]{Name: "bench.count", Access: ipc.Read, Short: "the numbers below the argument"}
	wait  = ipc.Unary[ipc.Empty, ipc.Empty]{Name: "bench.wait", Access: ipc.Read, Short: "wait for the cancel"}
	heard = ipc.Unary[ipc.Empty, int64]{Name: "bench.heard", Access: ipc.Read, Short: "when it came, in nanoseconds since 1970; 0 for not yet", Inline: true}
)

func serveIPC(l net.Listener) error {
	mux := ipc.NewMux("bench", "1")
	echo.Handle(mux, func(_ context.Context, payload []byte) ([]byte, error) { return payload, nil })
	count.Handle(mux, func(_ context.Context, n uint64) iter.Seq2[uint64, error] {
		return func(yield func(uint64, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	var cancelled atomic.Int64
	wait.Handle(mux, func(ctx context.Context, _ ipc.Empty) (ipc.Empty, error) {
		<-ctx.Done()
		cancelled.Store(time.Now().UnixNano())
		return ipc.Empty{}, ctx.Err()
	})
	heard.Handle(mux, func(context.Context, ipc.Empty) (int64, error) { return cancelled.Swap(0), nil })
	server := &ipc.Server{Mux: mux}
	return acceptAll(l, func(c net.Conn) { server.ServeConn(context.Background(), c, nil) })
}

type ipcConn struct{ *ipc.Client }

func dialIPC(path string) (caller, error) { return ipcConn{ipc.NewClient(path, "bench")}, nil }

func (c ipcConn) Echo(payload []byte) error {
	if len(payload) >= largePayload { // the others do not allocate for the answer either
		return echo.View(context.Background(), c.Client, payload, func([]byte) error { return nil })
	}
	_, err := echo.Call(context.Background(), c.Client, payload)
	return err
}

func (c ipcConn) Batch(payload []byte, n int) error {
	same := func(yield func([]byte) bool) {
		for range n {
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
