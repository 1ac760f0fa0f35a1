package ipc

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// BenchmarkFloor is the least that a call over a socket can cost: a length and the bytes, one write each way, no ids, one
// call at a time. The ratio of BenchmarkUnary to it says what the protocol costs; ipc/bench measures it across processes.
func BenchmarkFloor(b *testing.B) {
	for _, size := range []int{64, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			conn := floorServer(b)
			payload, reply := make([]byte, size), make([]byte, size+frameHead)
			frame := append(binary.BigEndian.AppendUint32(nil, uint32(size)), payload...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(frame); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, reply); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func floorServer(b *testing.B) net.Conn {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := frameReader{src: c, limit: defaultMaxFrame, abort: defaultMaxSkip}
		var reply []byte
		for {
			frame, _, err := in.next()
			if err != nil {
				return
			}
			reply = append(binary.BigEndian.AppendUint32(reply[:0], uint32(len(frame))), frame...)
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	})
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		conn.Close()
		l.Close()
		wg.Wait()
		os.RemoveAll(dir)
	})
	return conn
}

// BenchmarkUnary is a call at a time.
func BenchmarkUnary(b *testing.B) {
	for _, size := range []int{64, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := testClient(b, serve(b, &Server{Mux: testMux()}))
			payload := make([]byte, size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := echo.Call(context.Background(), c, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPipelined has many callers share one connection.
func BenchmarkPipelined(b *testing.B) {
	for _, callers := range []int{64, 1024} {
		for _, method := range []Unary[[]byte, []byte]{echo, echoSlow} {
			b.Run(fmt.Sprint(method.Name, "/", callers), func(b *testing.B) {
				c := testClient(b, serve(b, &Server{Mux: testMux()}))
				payload := make([]byte, 64)
				b.ReportAllocs()
				var wg sync.WaitGroup
				for i := range callers {
					wg.Go(func() {
						for n := i; n < b.N; n += callers {
							if _, err := method.Call(context.Background(), c, payload); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkBatch is the cost of one of many calls that are made together.
func BenchmarkBatch(b *testing.B) {
	c := testClient(b, serve(b, &Server{Mux: testMux()}))
	b.ReportAllocs()
	for _, err := range echo.Batch(context.Background(), c, slices.Values(make([][]byte, b.N))) {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTyped shows what the payload codec adds for a struct.
func BenchmarkTyped(b *testing.B) {
	c := testClient(b, serve(b, &Server{Mux: testMux()}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := say.Call(context.Background(), c, echoArgs{Text: "hello"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream is the cost of one item.
func BenchmarkStream(b *testing.B) {
	c := testClient(b, serve(b, &Server{Mux: testMux()}))
	b.ReportAllocs()
	for _, err := range count.Call(context.Background(), c, echoArgs{Text: "x", N: uint(b.N)}) {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEnvelope is the hand-written codec alone.
func BenchmarkEnvelope(b *testing.B) {
	r := request{ua: []byte("lnk/1"), rq: []byte{0, 0, 0, 1}, payload: make([]byte, 64)}
	frame := r.appendTo(nil)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			frame = r.appendTo(frame[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var got request
		for b.Loop() {
			if err := got.parse(frame[frameHead:]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
