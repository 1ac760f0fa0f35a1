package ipc

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
)

// read delivers answers until the connection ends, and then tells those who still wait.
func (k *clientConn) read() {
	defer k.client.forget(k)
	err := k.readAnswers()
	_ = k.net.Close()
	k.out.stop()
	k.stopWatching()
	k.lose(err)
}

func (k *clientConn) readAnswers() error {
	for {
		if err := k.awaitTurn(); err != nil {
			return err
		}
		for more := true; more; more = k.keepTurn() {
			if !k.in.buffered() {
				runtime.Gosched() // let those who got answers act on them while more come
			}
			if err := k.readAnswer(); err != nil {
				return err
			}
		}
	}
}

// receive delivers one answer. A broken one ends the connection, unless it is clear whom to tell.
func (k *clientConn) receive(frame []byte, owner *scratch) error {
	var r response
	err := r.parse(frame)
	if err != nil {
		return k.fail(r.rq, Errorf(Corrupt, "cannot read the answer: %w", err))
	}
	if string(r.rq) == reservedID {
		return k.announced(&r)
	}
	id, ok := callID(r.rq)
	if !ok {
		return Errorf(Corrupt, "the daemon answered to the request id %x, which was not sent", r.rq)
	}
	if r.isError {
		return k.fail(r.rq, errorFromWire(r.code, string(r.message)))
	}
	return k.deliver(id, item{r.payload, owner != nil, owner})
}

func callID(rq []byte) (uint32, bool) {
	if len(rq) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(rq), true
}

// deliver hands over the payload of an ok. The entry goes first: a caller that has its answer may reuse p at once.
func (k *clientConn) deliver(id uint32, payload item) error {
	k.mu.Lock()
	p := k.takeLocked(id, payload.b == nil)
	k.mu.Unlock()
	if p != nil {
		p.ok(payload)
	}
	return nil
}

// fail ends the call with the given id; without one the connection ends.
func (k *clientConn) fail(rq []byte, err error) error {
	id, ok := callID(rq)
	if !ok {
		return err
	}
	if errors.Is(err, GoingAway) {
		k.client.retire(k)
		err = errNotExecuted
	}
	k.mu.Lock()
	p := k.takeLocked(id, true)
	k.mu.Unlock()
	if p != nil {
		p.finish(err)
	}
	return nil
}

// takeLocked returns the call with the given id, nil if nobody waits for it. Its entry goes if the answer is final, as that
// of a unary call is.
func (k *clientConn) takeLocked(id uint32, final bool) *pendingCall {
	f := k.calls.find(id)
	if f == nil {
		return nil
	}
	p := f.call
	if final || !f.stream {
		k.removeLocked(id)
	}
	return p
}

// receiveOversize fails the call whose answer was too large. Other errors it passes on.
func (k *clientConn) receiveOversize(err error) error {
	var e *oversizeError
	if !errors.As(err, &e) {
		return err
	}
	var r response
	_ = r.parse(e.head) // it cannot succeed, but the request id is near the beginning
	return k.fail(r.rq, Errorf(TooLarge, "the answer is too large: %w", e))
}

// announced handles an answer that concerns the connection.
func (k *clientConn) announced(r *response) error {
	err := errorFromWire(r.code, string(r.message))
	if !r.isError || err.Code != GoingAway {
		return Errorf(Corrupt, "the daemon did not understand a request: %w", err)
	}
	k.client.retire(k)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = errNotExecuted
	k.leaving++
	if k.leaving > 1 {
		return io.EOF // all answers that there will be have come
	}
	return nil
}

// writeFailed runs when a frame could not be written. What did not reach the kernel was not executed; for the rest,
// answers may still come.
func (k *clientConn) writeFailed() {
	k.client.retire(k)
	k.mu.Lock()
	k.gone = errNotExecuted
	var unsent []*pendingCall
	for f := range k.calls.all() {
		if p := f.call; p != nil && !k.out.sent(p.position()) {
			unsent = append(unsent, p)
			k.removeLocked(f.id)
		}
	}
	k.mu.Unlock()
	for _, p := range unsent {
		k.end(p, errNotExecuted)
	}
}

// end finishes p for another reason than an answer. Its caller may be reading.
func (k *clientConn) end(p *pendingCall, err error) {
	reads := p.leads || p.group != nil
	p.finish(err)
	if reads {
		k.interrupt()
	}
}

// lose tells everybody who still waits that the connection ended. A daemon that announced its leaving twice has answered
// all that it read, so the rest was not executed. Otherwise nobody knows.
func (k *clientConn) lose(err error) {
	k.client.retire(k)
	k.mu.Lock()
	k.gone = errNotExecuted
	complete := k.leaving > 1
	left := k.calls
	k.calls = flights{}
	k.slots.Release(int64(left.n)) // whoever waits for one learns that the connection is gone
	k.mu.Unlock()
	for f := range left.all() {
		if f.call != nil {
			f.call.finish(k.verdict(f.call, complete, err))
		}
	}
}

func (k *clientConn) verdict(p *pendingCall, complete bool, err error) error {
	var e *Error
	switch {
	case k.client.isClosed():
		return errClosed
	case complete || !k.out.sent(p.position()):
		return errNotExecuted
	case errors.As(err, &e):
		return e
	case errors.Is(err, io.EOF):
		err = errors.New("the daemon hung up")
	}
	return Errorf(Unavailable, "the connection was lost before the answer came: %w", err).
		WithHint("the call may have been executed; look before you repeat it")
}
