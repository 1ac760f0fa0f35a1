package ipc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// requestID is an rq as a map key.
type requestID struct {
	n uint8
	b [maxRequestID]byte
}

func newRequestID(rq []byte) (id requestID) {
	id.n = uint8(copy(id.b[:], rq))
	return id
}

func (id *requestID) bytes() []byte { return id.b[:id.n] }

type connKey struct{}

// A serverConn is the server's side of one connection. One goroutine reads; it runs inline handlers itself and starts a
// goroutine for every other request.
type serverConn struct {
	srv     *Server
	limits  Limits
	net     net.Conn
	drain   <-chan struct{}
	logs    bool            // every request is logged
	parent  context.Context // of the server
	ctx     context.Context // of the handlers
	cancel  context.CancelFunc
	in      frameReader
	arrived time.Time        // when the last read returned
	last    *method          // that was called
	inline  *deadlineContext // of the last inline call that had a deadline
	frame   *scratch         // holds the request that is being read, if it is large, unless a task took it
	out     *writer
	peer    peerOnce

	mu     sync.Mutex
	flight map[requestID]*task // without final answer
	queue  []*task             // not yet started, in order of arrival
	held   int                 // bytes of the requests in flight
	live   int                 // goroutines that run tasks
	empty  chan struct{}       // closed when live drops to zero; nil if nobody waits
}

func newServerConn(parent context.Context, s *Server, c net.Conn, drain <-chan struct{}) *serverConn {
	limits := s.Limits.withDefaults()
	k := &serverConn{
		srv: s, limits: limits, net: c, drain: drain, parent: parent,
		in:     frameReader{src: c, limit: limits.MaxFrame, abort: limits.MaxSkip},
		flight: map[requestID]*task{},
	}
	ctx, cancel := context.WithCancel(parent)
	k.ctx, k.cancel = context.WithValue(ctx, connKey{}, k), cancel
	k.out = newWriter(c, limits.Stall, func() { _ = c.Close() })
	k.logs = s.Log != nil && s.Log.Enabled(ctx, slog.LevelDebug)
	return k
}

func (k *serverConn) close() {
	k.cancel()
	_ = k.net.Close()
	k.out.stop()
}

// readRequests returns when nothing more can be read. Before a read that may block it flushes the answers of inline
// handlers; and whoever does not read the answers is not read from either, as they would pile up.
func (k *serverConn) readRequests() error {
	for {
		more := k.in.buffered()
		if !more {
			_ = k.out.drain(k.ctx, time.Time{}, highWater) // a lost connection fails the read, too
		}
		frame, owner, err := k.in.next()
		if !more {
			k.arrived = time.Now()
		}
		if err == nil {
			k.frame = owner
			k.receive(frame)
			k.frame.put()
		} else if !k.refuseOversize(err) {
			k.out.flush()
			return err
		}
	}
}

// refuseOversize answers a frame that was too large. It reports false if err is something else.
func (k *serverConn) refuseOversize(err error) bool {
	var e *oversizeError
	if !errors.As(err, &e) {
		return false
	}
	var r request
	_ = r.parse(e.head) // it cannot succeed, but the request id is near the beginning
	k.refuse(r.rq, Errorf(TooLarge, "%w", e))
	return true
}

// receive acts on one request.
func (k *serverConn) receive(frame []byte) {
	var r request
	if err := r.parse(frame); err != nil {
		k.refuse(r.rq, Errorf(BadRequest, "cannot read the request: %w", err))
		return
	}
	id := newRequestID(r.rq)
	t, load := k.look(id)
	if t != nil {
		k.amend(t, &r)
		return
	}
	if r.payload == nil {
		return // a cancel that crossed the final answer
	}
	var call call
	if err := call.parse(r.payload); err != nil {
		k.refuse(r.rq, Errorf(BadRequest, "cannot read the call: %w", err))
		return
	}
	k.dispatch(id, &call, r.token, load)
}

// amend handles a request whose id is in flight: a cancel, or credit for a stream. Anything else is a mistake of the
// client, about which the call in flight must not learn: an answer with its id would be taken for its own.
func (k *serverConn) amend(t *task, r *request) {
	if r.payload == nil {
		t.cancel()
		return
	}
	var call call
	if err := call.parse(r.payload); err == nil && call.isGrant() && t.method.stream != nil {
		t.credit.grant(call.credit.n)
		return
	}
	k.refuse(nil, Errorf(BadRequest, "request id %x is in flight: it takes a cancel or, for a stream, credit", r.rq))
}

// A load is how much of a connection's limits is in use. Only the reader adds to it: what it has seen is never too little.
type load struct{ flight, held, queued int }

// look returns the task with the given id, nil if there is none, and the load.
func (k *serverConn) look(id requestID) (*task, load) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.flight[id], load{len(k.flight), k.held, len(k.queue)}
}

// dispatch runs a call, or refuses it.
func (k *serverConn) dispatch(id requestID, c *call, token []byte, load load) {
	if c.isGrant() {
		return // credit that crossed the end of its stream
	}
	m := k.method(c.method)
	if err := k.admit(id, c, m, load); err != nil {
		k.refuse(id.bytes(), err)
		return
	}
	if k.srv.Activity != nil {
		k.srv.Activity.Add(1)
	}
	guarded := k.srv.Authorize != nil && !m.open
	if m.inline && !guarded && load.queued == 0 {
		k.runInline(id, m, c)
		return
	}
	t := newTask(k, id, m, c)
	if guarded {
		t.guarded, t.token = true, bytes.Clone(token[:min(len(token), maxToken+1)]) // one byte too many is enough to refuse it
	}
	k.start(t)
}

// method returns the method of that name, nil if there is none. Most calls are for the same as the last one.
func (k *serverConn) method(name []byte) *method {
	if k.last == nil || k.last.info.Name != string(name) {
		k.last = k.srv.Mux.methods[string(name)]
	}
	return k.last
}

func (k *serverConn) admit(id requestID, c *call, m *method, load load) error {
	switch {
	case c.method == nil:
		return Errorf(BadRequest, "the call names no method")
	case m == nil:
		return Errorf(UnknownMethod, "no method %q here", c.method).WithHint("ipc.describe lists the methods")
	case string(id.bytes()) == reservedID:
		return Errorf(BadRequest, "request id 00000000 is reserved")
	case c.timeout.ok && c.timeout.n == 0:
		return Errorf(DeadlineExceeded, "the deadline had passed when the call was sent")
	case m.stream == nil && c.credit.ok:
		return Errorf(BadRequest, "%s is not a stream and takes no credit", c.method)
	case m.stream != nil && k.isDraining():
		return Errorf(GoingAway, "this instance goes away; call again to reach the next one")
	case load.flight >= k.limits.MaxInFlight:
		return Errorf(ResourceExhausted, "%d requests are in flight on this connection, which is the limit", load.flight)
	case load.held+len(c.arguments) > k.limits.MaxHeld:
		return Errorf(ResourceExhausted, "the requests in flight on this connection hold %d bytes, which is the limit", load.held)
	}
	return nil
}

// refuse answers without having started anything. Without a usable id the answer concerns the connection.
func (k *serverConn) refuse(rq []byte, err error) {
	if rq == nil || k.task(newRequestID(rq)) != nil {
		rq = []byte(reservedID)
	}
	k.answer(rq, takeScratch(), err)
}

// answer queues a final answer: an ok with the payload in out, or err. It waits while the peer does not read what it
// asked for; if the peer is gone, nobody is there to hear it. If it reports first, the caller must flush soon.
func (k *serverConn) answer(rq []byte, out *scratch, err error) (first bool) {
	var m outgoing
	if err == nil {
		m = out.sealOK(rq)
	} else {
		m = outgoing{frame: appendError(out.b[:0], rq, err), owner: out}
	}
	first, _ = k.out.send(k.ctx, time.Time{}, &m)
	return first
}

func appendError(b, rq []byte, err error) []byte {
	a := response{rq: rq, isError: true, code: uint64(CodeOf(err)), message: []byte(wireText(err))}
	return a.appendTo(b)
}

// goAway tells the peer to send no more over this connection.
func (k *serverConn) goAway() {
	k.out.sendUrgent(appendError(nil, []byte(reservedID), Errorf(GoingAway, "this instance goes away")))
}
