package ipc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// callTimeout is the deadline of a unary call whose context has none. Without one, a daemon that crashes over and over
// behind an activated socket would keep its clients waiting for ever.
const callTimeout = 30 * time.Second

// A Client calls methods of the service behind one socket. It dials when the first call needs it, sends all calls over one
// connection, and dials again when that is lost. A call that provably was not executed is sent again; one that may have
// been is not, and fails with Unavailable. A Client is safe for concurrent use.
type Client struct {
	path string
	ua   []byte

	// Trace, if set before the first call, sees every frame, without its length: sent ones and received ones. The
	// slice is valid during the call. See DiagnosticFrame.
	Trace func(sent bool, frame []byte)

	// Token, if set before the first call, goes with every call: a service may demand one. At most 1,024 bytes.
	Token []byte

	dial    func(ctx context.Context, path string) (net.Conn, error)
	current atomic.Pointer[clientConn]
	dialing chan struct{} // holds a token while somebody dials

	free   sync.Pool // of *pendingCall
	groups sync.Pool // of *group

	mu     sync.Mutex
	conns  map[*clientConn]struct{} // whose readers run
	closed bool
	wg     sync.WaitGroup // readers
}

// NewClient returns a client of the socket at path. Ua names the program and its version, "lnk/1.2.0"; it crosses the
// wire with at most 16 bytes and is for diagnosis only. NewClient does no I/O.
func NewClient(path, ua string) *Client {
	return &Client{
		path: path, ua: userAgent(ua), dial: Dial, dialing: make(chan struct{}, 1), conns: map[*clientConn]struct{}{},
	}
}

// userAgent fits ua into the RFC's 4 to 16 bytes of UTF-8.
func userAgent(ua string) []byte {
	fitted := strings.ToValidUTF8(ua[:min(len(ua), sendUserAgent)], "")
	for len(fitted) < minUserAgent {
		fitted += "."
	}
	return []byte(fitted)
}

// Close hangs up and waits for the client's goroutines. Calls in flight fail with Unavailable.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	for conn := range c.conns {
		_ = conn.net.Close()
		conn.wakeReader()
	}
	c.mu.Unlock()
	c.wg.Wait()
	return nil
}

var errClosed = &Error{Code: Unavailable, Message: "the client is closed"}

// Call calls the method and waits for its answer. The deadline is ctx's, or 30 s if it has none. When ctx ends, Call returns
// at once and the handler is told to stop.
func (m Unary[A, R]) Call(ctx context.Context, c *Client, args A) (result R, err error) {
	p, err := m.ask(ctx, c, args)
	if err != nil {
		return result, err
	}
	return takeResult[R](c, m.Name, p)
}

// takeResult decodes the answer and gives p back.
func takeResult[R any](c *Client, method string, p *pendingCall) (result R, err error) {
	defer c.putCall(p)
	return takeAnswer[R](method, p.answer)
}

// takeAnswer decodes an answer. The frame that it is in is put back unless the result refers to it.
func takeAnswer[R any](method string, answer item) (result R, err error) {
	if _, kept := any(result).([]byte); !kept {
		defer answer.frame.put()
	}
	return decodeResult[R](method, answer)
}

// View is Call for large results: f gets the result, which, if R is []byte, is valid only until f returns. That saves an
// allocation of its size. The error is that of the call, or else that of f.
func (m Unary[A, R]) View(ctx context.Context, c *Client, args A, f func(R) error) error {
	p, err := m.ask(ctx, c, args)
	if err != nil {
		return err
	}
	defer c.putCall(p)
	defer p.answer.frame.put()
	result, err := decodeResult[R](m.Name, item{b: p.answer.b, owned: true})
	if err != nil {
		return err
	}
	return f(result)
}

// ask makes the call. The answer is p's.
func (m Unary[A, R]) ask(ctx context.Context, c *Client, args A) (p *pendingCall, err error) {
	p = c.takeCall(m.Name)
	if err := putArguments(p.out, args); err != nil {
		return nil, err
	}
	return p, c.roundTrip(ctx, m.Name, p)
}

func putArguments[A any](out *scratch, args A) (err error) {
	switch a := any(args).(type) {
	case Empty:
		return nil
	case []byte:
		out.appendBytes(a)
		return nil
	}
	if out.b, err = appendGeneral(out.b, args); err != nil {
		return Errorf(BadRequest, "bad arguments: %w", err)
	}
	return nil
}

func decodeResult[R any](method string, payload item) (R, error) {
	if payload.b == nil {
		payload.b = emptyMap
	}
	result, err := decodeValue[R](payload, true)
	if err != nil {
		return result, Errorf(Corrupt, "cannot read the answer to %s: %w", method, err)
	}
	return result, nil
}

// CallRaw calls a method by name. Arguments are one CBOR item, or nil for none; so is the result.
func (c *Client) CallRaw(ctx context.Context, method string, arguments []byte) ([]byte, error) {
	p := c.takeCall(method)
	p.out.b = append(p.out.b, arguments...)
	if err := c.roundTrip(ctx, method, p); err != nil {
		return nil, err
	}
	defer c.putCall(p)
	if p.answer.owned {
		return p.answer.b, nil
	}
	return bytes.Clone(p.answer.b), nil
}

// roundTrip sends p until it is answered, over as many connections as it takes. If it returns an error, p must not be
// used again.
func (c *Client) roundTrip(ctx context.Context, method string, p *pendingCall) error {
	if err := p.prepare(ctx); err != nil {
		return callError(err, method)
	}
	return c.persist(ctx, method, p)
}

// persist is roundTrip for a call that is prepared.
func (c *Client) persist(ctx context.Context, method string, p *pendingCall) error {
	return callError(c.repeat(ctx, p.deadline, func(conn *clientConn) error {
		err := conn.roundTrip(ctx, method, p)
		if errors.Is(err, errNotExecuted) {
			p.detach()
		}
		return err
	}), method)
}

// repeat tries one connection after the other until something else becomes of f than not being executed.
func (c *Client) repeat(ctx context.Context, deadline time.Time, f func(*clientConn) error) error {
	for attempt := 0; ; attempt++ {
		conn, err := c.connect(ctx, deadline)
		if err == nil {
			err = f(conn)
		}
		if !errors.Is(err, errNotExecuted) {
			return err
		}
		if err := pause(ctx, attempt, deadline); err != nil {
			return err
		}
	}
}

// errNotExecuted marks a call that the daemon did not and will not run.
var errNotExecuted = errors.New("not executed")

// pause waits before the next attempt: not at all at first, as the next instance is usually up, then up to 100 ms.
func pause(ctx context.Context, attempt int, deadline time.Time) error {
	const free, longest = 3, 100 * time.Millisecond
	if attempt < free {
		return ctx.Err()
	}
	delay := min(time.Millisecond<<min(attempt-free, 10), longest)
	if !deadline.IsZero() && time.Until(deadline) < delay {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deadlineOf returns the deadline of ctx, zero for none.
func deadlineOf(ctx context.Context) time.Time {
	deadline, _ := ctx.Deadline()
	return deadline
}

// callError gives context errors a code and the method's name.
func callError(err error, method string) error {
	if err == nil {
		return nil // before e, which takes memory
	}
	var e *Error
	switch {
	case errors.As(err, &e) || errors.Is(err, errNotExecuted):
		return err
	case errors.Is(err, context.Canceled):
		return Errorf(Cancelled, "%s was cancelled: %w", method, err)
	case errors.Is(err, context.DeadlineExceeded):
		return Errorf(DeadlineExceeded, "%s was not answered in time: %w", method, err)
	}
	return Errorf(Unavailable, "cannot call %s: %w", method, err)
}
