package pubsub

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lnk-suite/lnk/ipc"
)

const (
	streamName     = "RAD"            // chosen by the bus
	callTimeout    = 30 * time.Second // of a call whose context has no deadline
	connectTimeout = 10 * time.Second // from dialling to the end of the greeting; covers a start of the bus
	idleTimeout    = 5 * time.Second  // after which an unused connection is closed, so that the bus may leave
	pingInterval   = 30 * time.Second // notices a bus that hangs; one that dies hangs up
)

// Client talks to the bus on one socket. It connects when it has something to do and hangs up soon after, as every
// connection keeps the bus awake. Its methods may be called by many goroutines at once.
type Client struct {
	socket, name string
	idle, quiet  time.Duration // idleTimeout, quietTime; tests have less patience
	noted        func(uint64)  // told by quiet subscriptions with which number they would go on, for tests; nil for nobody

	lock   chan struct{} // guards what follows; a channel, as whoever dials holds it and others' time may run out
	conn   *conn         // shared by everything but subscriptions; nil when not connected
	users  int           // calls that use conn
	timer  *time.Timer   // closes conn when idle
	closed bool
}

// NewClient returns a client of the bus on socket (profile.Dirs.Socket("bus", "")); name says to the bus's lists of
// connections who it is. It does no I/O.
func NewClient(socket, name string) *Client {
	return &Client{socket: socket, name: name, idle: idleTimeout, quiet: quietTime, lock: make(chan struct{}, 1)}
}

// Close hangs up. Calls under way fail with ipc.Unavailable; subscriptions have connections of their own and end with
// their context.
func (c *Client) Close() error {
	c.lock <- struct{}{}
	defer c.unlock()
	c.closed = true
	c.dropLocked()
	return nil
}

var errClosed = errors.New("this client is closed")

func (c *Client) unlock() { <-c.lock }

func (c *Client) dropLocked() {
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.conn != nil {
		c.conn.close()
		c.conn = nil
	}
}

// use calls f with the shared connection, making one if need be.
func (c *Client) use(ctx context.Context, f func(*conn) error) error {
	conn, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer c.release()
	return f(conn)
}

func (c *Client) acquire(ctx context.Context) (*conn, error) {
	select {
	case c.lock <- struct{}{}:
		defer c.unlock()
	case <-ctx.Done():
		return nil, c.unreachable(ctx, nil, nil)
	}
	if c.closed {
		return nil, ipc.Errorf(ipc.Unavailable, "cannot reach the bus: %w", absentError{errClosed})
	}
	if c.conn != nil && c.conn.isClosed() {
		c.dropLocked()
	}
	if c.conn == nil {
		conn, err := c.dial(ctx)
		if err != nil {
			return nil, err
		}
		c.conn = conn
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.users++
	return c.conn, nil
}

func (c *Client) release() {
	c.lock <- struct{}{}
	defer c.unlock()
	if c.users--; c.users == 0 && !c.closed {
		c.timer = time.AfterFunc(c.idle, c.hangUpWhenIdle)
	}
}

func (c *Client) hangUpWhenIdle() {
	c.lock <- struct{}{}
	defer c.unlock()
	if c.users == 0 {
		c.dropLocked()
	}
}

// A conn is one connection to one run of the bus. It never reconnects by itself: what was under way has to be looked
// at first.
type conn struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	closed chan struct{}

	mu     sync.Mutex
	denied chan struct{} // closed and replaced when the bus refuses a message
	topics map[string]bool
}

// socketDialer makes nats.go dial a UNIX socket, within ctx. It keeps the error, which nats.go does not always return.
type socketDialer struct {
	ctx  context.Context
	path string
	err  error
}

// Dial implements nats.CustomDialer.
func (d *socketDialer) Dial(string, string) (net.Conn, error) {
	conn, err := ipc.Dial(d.ctx, d.path)
	d.err = err
	return conn, err
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	conn := &conn{closed: make(chan struct{}), denied: make(chan struct{}), topics: map[string]bool{}}
	dialer := &socketDialer{ctx: ctx, path: c.socket}
	options := nats.Options{
		Url: "nats://bus", SkipHostLookup: true, IgnoreDiscoveredServers: true, CustomDialer: dialer,
		Name: c.name, Timeout: timeLeft(ctx, connectTimeout), PingInterval: pingInterval, MaxPingsOut: 1,
		SubChanLen: nats.DefaultMaxChanLen, ReconnectBufSize: -1,
		ClosedCB:     func(*nats.Conn) { close(conn.closed) },
		AsyncErrorCB: func(_ *nats.Conn, _ *nats.Subscription, err error) { conn.refused(err) },
	}
	nc, err := options.Connect()
	if err != nil {
		return nil, c.unreachable(ctx, dialer.err, err)
	}
	conn.nc = nc
	if conn.js, err = jetstream.New(nc); err != nil {
		nc.Close()
		return nil, ipc.Errorf(ipc.Internal, "cannot set up the bus's client: %w", err)
	}
	return conn, nil
}

func timeLeft(ctx context.Context, most time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(min(time.Until(deadline), most), time.Millisecond)
	}
	return most
}

// refusal is how the bus says before the connection is set up that it cannot work: an ipc code and a text.
var refusal = regexp.MustCompile(`lnk (\d+) (.*)$`)

// unreachable turns a failure to connect into an error with its cure: dialing is ipc.Dial's, greeting comes after it.
func (c *Client) unreachable(ctx context.Context, dialing, greeting error) error {
	if ctx.Err() != nil {
		return ipc.Errorf(ipc.CodeOf(ctx.Err()), "cannot reach the bus at %s: %w", c.socket, ctx.Err())
	}
	if dialing != nil {
		return ipc.Errorf(ipc.CodeOf(dialing), "cannot reach the bus: %w", absentError{dialing})
	}
	if m := refusal.FindStringSubmatch(greeting.Error()); m != nil {
		code, _ := strconv.ParseUint(m[1], 10, 32)
		return withHint(ipc.Errorf(ipc.Code(code), "the bus at %s refuses: %s", c.socket, m[2]))
	}
	return ipc.Errorf(ipc.Unavailable, "cannot reach the bus at %s: %w", c.socket, greeting)
}

// absentError says that there is nobody to talk to, so that trying again soon is of no use.
type absentError struct{ error }

// Unwrap returns the reason.
func (e absentError) Unwrap() error { return e.error }

func isAbsent(err error) bool {
	var absent absentError
	return errors.As(err, &absent)
}

func withHint(e *ipc.Error) error {
	if e.Code == ipc.ResourceExhausted {
		return e.WithHint("free some space on the disk that holds the state folder of lnk")
	}
	return e
}

func (c *conn) close() { c.nc.Close() }

func (c *conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// violation finds the topic in the server's words for a message that this process may not publish.
var violation = regexp.MustCompile(`(?i)permissions violation for publish to "([^"]+)"`)

// refused notes that the bus refused a message; there is no other answer to it.
func (c *conn) refused(err error) {
	m := violation.FindStringSubmatch(err.Error())
	if m == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics[m[1]] = true
	close(c.denied)
	c.denied = make(chan struct{})
}

// denial returns an error if the topic of one of msgs was refused, else what is closed with the next refusal.
func (c *conn) denial(msgs []*nats.Msg) (<-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range msgs {
		if len(c.topics) > 0 && c.topics[m.Subject] {
			return nil, ipc.Errorf(ipc.PermissionDenied, "this program may not publish on %s", m.Subject).
				WithHint("scripts publish on rad.<peer>.script.>")
		}
	}
	return c.denied, nil
}

// bounded gives a call the default deadline if it has none.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, callTimeout)
}

func randomID() string { return rand.Text() }
