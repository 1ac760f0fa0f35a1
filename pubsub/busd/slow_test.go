package busd_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/pubsub/busd/busdtest"
)

// TestSlowReader: somebody who subscribes and then does not read is hung up on, and holds a publisher up for a few
// seconds at most.
func TestSlowReader(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	slow, err := net.Dial("unix", bus.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "CONNECT {\"verbose\":false}\r\nSUB rad.> 1\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	c := pubsub.NewClient(bus.Socket, "test")
	defer c.Close()
	msgs := numbered(1, 256)
	for i := range msgs {
		msgs[i].Data = make([]byte, 128<<10)
	}
	began := time.Now()
	if acks, err := c.Publish(limited(t), msgs...); err != nil {
		t.Fatalf("%d acknowledged: %v", len(acks), err)
	}
	t.Logf("publishing 32 MiB beside it took %v", time.Since(began))
	slow.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := io.Copy(io.Discard, slow); err != nil {
		t.Errorf("the slow reader was not hung up on, it got %d bytes and then %v", n, err)
	}
}
