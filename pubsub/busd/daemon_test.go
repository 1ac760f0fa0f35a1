package busd_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/services/daemon"
)

// asDaemon makes this test binary lnk-busd; asPublisher makes it a program that publishes on a topic.
const (
	asDaemon    = "LNK_TEST_BUSD"
	asPublisher = "LNK_TEST_PUBLISH"
)

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		os.Exit(daemon.Main(busd.Spec()))
	}
	if topic := os.Getenv(asPublisher); topic != "" {
		os.Exit(publishOnce(os.Args[1], topic))
	}
	os.Exit(m.Run())
}

// A bus is lnk-busd in a process of its own, started with a listening socket as systemd does it: the socket stays when
// the process goes, and whoever connects meanwhile waits in its queue.
type bus struct {
	t       testing.TB
	home    string
	socket  string
	program string
	idle    time.Duration
	listen  *os.File
	log     *os.File

	mu     sync.Mutex
	cmd    *exec.Cmd // the running process
	starts int
}

func newBus(t testing.TB, idle time.Duration) *bus {
	t.Helper()
	home, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	b := &bus{t: t, home: home, socket: filepath.Join(home, "s"), program: os.Args[0], idle: idle}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if b.listen, err = l.File(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if b.log, err = os.Create(filepath.Join(home, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.cleanUp)
	return b
}

func (b *bus) cleanUp() {
	b.listen.Close()
	b.log.Close()
	if b.t.Failed() {
		text, _ := os.ReadFile(b.log.Name())
		b.t.Logf("the bus wrote:\n%s", text)
	}
	os.RemoveAll(b.home)
}

// awaitCaller waits until somebody is in the queue of the socket, whom a process that starts then serves first: so it is not
// idle before a slow machine has got to call it.
func (b *bus) awaitCaller() {
	b.t.Helper()
	queue := []unix.PollFd{{Fd: int32(b.listen.Fd()), Events: unix.POLLIN}}
	for {
		switch n, err := unix.Poll(queue, int(time.Minute.Milliseconds())); {
		case n > 0:
			return
		case err != unix.EINTR:
			b.t.Fatalf("nobody calls the bus: %v", err)
		}
	}
}

// start starts the process without waiting until it serves.
func (b *bus) start() *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, b.program, "--idle", b.idle.String())
	cmd.Env = append(os.Environ(), asDaemon+"=1", "LNK_HOME="+b.home, "LISTEN_FDS=1", "LISTEN_FDNAMES=bus", "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles = []*os.File{b.listen}
	cmd.Stderr = b.log
	if err := cmd.Start(); err != nil {
		b.t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cmd, b.starts = cmd, b.starts+1
	return cmd
}

// supervise keeps the bus running until the test ends.
func (b *bus) supervise() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	b.t.Cleanup(func() { cancel(); b.kill(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := b.start().Wait()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Exited() {
				b.t.Errorf("the bus ended with status %d", exit.ExitCode())
			}
		}
	}()
}

func (b *bus) started() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.starts
}

// kill ends the running process as a crash would.
func (b *bus) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd != nil {
		b.cmd.Process.Kill()
	}
}

func (b *bus) client() *pubsub.Client {
	c := pubsub.NewClient(b.socket, b.t.Name())
	b.t.Cleanup(func() { c.Close() })
	return c
}

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

const builds = "rad.z6MkPeer.script.built"

func numbered(from, to int) []pubsub.Message {
	var msgs []pubsub.Message
	for i := from; i <= to; i++ {
		msgs = append(msgs, pubsub.Message{Topic: builds, ID: fmt.Sprint(i)})
	}
	return msgs
}

// ids returns the ids of all stored events, in order.
func ids(t testing.TB, c *pubsub.Client) []string {
	t.Helper()
	var got []string
	for e, err := range c.Subscribe(limited(t), "rad.>", pubsub.Start{All: true, UntilCurrent: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID)
	}
	return got
}

// TestLeavesWhenNobodyIsConnected: a subscriber keeps the bus awake however little happens; when it goes, so does the bus.
func TestLeavesWhenNobodyIsConnected(t *testing.T) {
	b := newBus(t, 50*time.Millisecond)
	c := b.client()
	ctx, hangUp := context.WithCancel(t.Context())
	events := make(chan pubsub.Event)
	go func() {
		defer close(events)
		for e, err := range c.Subscribe(ctx, "rad.>", pubsub.Start{All: true}) {
			if err == nil {
				events <- e
			}
		}
	}()
	b.awaitCaller()
	cmd := b.start()
	left := make(chan error, 1)
	go func() { left <- cmd.Wait() }()
	if _, err := c.Publish(limited(t), numbered(1, 1)...); err != nil {
		t.Fatal(err)
	}
	<-events
	c.Close()
	select {
	case err := <-left:
		t.Fatalf("the bus left with a subscriber connected: %v", err)
	case <-time.After(8 * b.idle):
	}
	hangUp()
	select {
	case err := <-left:
		if err != nil {
			t.Fatalf("the bus left with %v", err)
		}
	case <-time.After(time.Minute):
		cmd.Process.Kill()
		t.Fatal("the bus does not leave")
	}
}

// TestIdleClientLetsTheBusLeave: a client that lives on without using its connection hangs up.
func TestIdleClientLetsTheBusLeave(t *testing.T) {
	t.Parallel()
	b := newBus(t, 50*time.Millisecond)
	c := b.client()
	published := make(chan error, 1)
	go func() {
		_, err := c.Publish(limited(t), numbered(1, 1)...)
		published <- err
	}()
	b.awaitCaller()
	cmd := b.start()
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	left := make(chan error, 1)
	go func() { left <- cmd.Wait() }()
	select {
	case err := <-left:
		if err != nil {
			t.Fatalf("the bus left with %v", err)
		}
	case <-time.After(time.Minute):
		cmd.Process.Kill()
		t.Fatal("the bus does not leave")
	}
	b.supervise()
	if acks, err := c.Publish(limited(t), numbered(2, 2)...); err != nil || acks[0].Seq != 2 {
		t.Errorf("the next message: %+v, %v", acks, err)
	}
}

// TestReactivation publishes with pauses about as long as the bus waits before it leaves, so that many messages meet
// it leaving.
func TestReactivation(t *testing.T) {
	b := newBus(t, 10*time.Millisecond)
	b.supervise()
	const rounds = 150
	for i := 1; i <= rounds; i++ {
		c := pubsub.NewClient(b.socket, "test")
		if _, err := c.Publish(limited(t), numbered(i, i)...); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		c.Close()
		time.Sleep(8*time.Millisecond + time.Duration(i%8)*time.Millisecond)
	}
	if got := ids(t, b.client()); len(got) != rounds {
		t.Errorf("%d of %d messages are stored", len(got), rounds)
	}
	if n := b.started(); n < 10 {
		t.Errorf("the bus started %d times only: the test did not meet it leaving", n)
	}
}
