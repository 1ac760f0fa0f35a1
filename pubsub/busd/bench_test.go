package busd_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/pubsub"
)

// BenchmarkColdStart measures what the first caller waits: from starting the process to the end of the greeting, with
// an empty store and with 10,000 events.
func BenchmarkColdStart(b *testing.B) {
	for _, stored := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("events=%d", stored), func(b *testing.B) {
			bus := newBus(b, time.Minute)
			fillWith(b, bus, stored)
			for b.Loop() {
				cmd := bus.start()
				greet(b, bus.socket)
				b.StopTimer()
				cmd.Process.Signal(syscall.SIGTERM)
				cmd.Wait()
				b.StartTimer()
			}
		})
	}
}

func fillWith(b *testing.B, bus *bus, n int) {
	cmd := bus.start()
	defer func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }()
	c := pubsub.NewClient(bus.socket, "bench")
	defer c.Close()
	for i := 0; i < n; i += 1000 {
		if _, err := c.Publish(b.Context(), numbered(i+1, i+1000)...); err != nil {
			b.Fatal(err)
		}
	}
}

// greet waits for the answer to the first PING.
func greet(b *testing.B, socket string) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "CONNECT {\"verbose\":false}\r\nPING\r\n")
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(line, "PONG") {
			return
		}
	}
}
