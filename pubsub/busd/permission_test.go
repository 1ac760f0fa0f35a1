package busd_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/peercred"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/pubsub/busd/busdtest"
)

// say speaks NATS's text protocol and returns the lines up to the answer to a PING.
func say(t *testing.T, socket string, lines ...string) []string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprint(conn, "CONNECT {\"verbose\":false,\"headers\":true}\r\n", strings.Join(lines, "\r\n"), "\r\nPING\r\n")
	var got []string
	for in := bufio.NewScanner(conn); in.Scan(); {
		switch line := in.Text(); {
		case line == "PONG":
			return got
		case !strings.HasPrefix(line, "INFO "):
			got = append(got, line)
		}
	}
	t.Fatalf("no answer to %v, only %v", lines, got)
	return nil
}

// TestForbidden: whoever may publish must not manage the stream, speak for others, or pretend to be the bus.
func TestForbidden(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{Role: func(peercred.Cred) busd.Role { return busd.Script }})
	for _, subject := range []string{
		"$JS.API.STREAM.DELETE.RAD", "$JS.API.STREAM.PURGE.RAD", "$JS.API.STREAM.UPDATE.RAD", "$JS.API.STREAM.CREATE.OTHER",
		"$JS.API.STREAM.MSG.DELETE.RAD", "$JS.API.STREAM.SNAPSHOT.RAD", "$JS.API.STREAM.RESTORE.RAD", "$JS.API.META.LEADER.STEPDOWN",
		"$SYS.REQ.SERVER.PING", "rad.z6MkPeer.git.updated", "rad.z6MkPeer.scripts.built", "rad.script.built", "rad", "other",
	} {
		got := say(t, bus.Socket, "PUB "+subject+" 0", "")
		if len(got) != 1 || !strings.Contains(got[0], "Permissions Violation for Publish") {
			t.Errorf("publishing on %s: %v", subject, got)
		}
	}
	for _, subject := range []string{"rad.z6MkPeer.script.built", "_INBOX.a", "tmp.progress", "$JS.API.STREAM.INFO.RAD"} {
		if got := say(t, bus.Socket, "PUB "+subject+" 0", ""); len(got) != 0 {
			t.Errorf("publishing on %s: %v", subject, got)
		}
	}
	if got := say(t, bus.Socket, "SUB > 1"); len(got) != 0 {
		t.Errorf("subscribing to everything: %v", got)
	}
}

// TestNotNATS sends things that are not the protocol.
func TestNotNATS(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{})
	for _, garbage := range []string{
		"\x00\x00\x00\x05\x81\x00\x00\x00\x00", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 1<<20),
		"PROXY TCP6 fd00::1 fd00::1 1 1\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24", "PUB rad.a.script.b 5\r\nx", "",
	} {
		conn, err := net.Dial("unix", bus.Socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, garbage)
		conn.Close()
	}
	if got := say(t, bus.Socket, "PUB rad.z6MkPeer.script.built 0", ""); len(got) != 0 {
		t.Errorf("afterwards: %v", got)
	}
}

// TestDeniedAtOnce: a client is told which topic is the problem, and does not wait for an answer that never comes.
func TestDeniedAtOnce(t *testing.T) {
	bus := busdtest.Start(t, busd.Config{Role: func(peercred.Cred) busd.Role { return busd.Script }})
	c := pubsub.NewClient(bus.Socket, "test")
	defer c.Close()
	for _, n := range []int{1, 100} {
		msgs := numbered(1, n)
		msgs[n-1].Topic = "rad.z6MkPeer.git.updated"
		began := time.Now()
		_, err := c.Publish(limited(t), msgs...)
		if !errors.Is(err, ipc.PermissionDenied) || !strings.Contains(err.Error(), msgs[n-1].Topic) || time.Since(began) > time.Minute {
			t.Errorf("%d messages: %v after %v", n, err, time.Since(began))
		}
	}
}
