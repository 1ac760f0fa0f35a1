package ipc

import (
	"context"
	"errors"
	"os"
	"time"
)

// Reading from a client's connection is the turn of one goroutine at a time. A caller that is alone on the connection takes
// it and reads its own answer: a change of goroutines would cost it a third of the call. Whenever somebody else may have
// to hear something (several calls, a stream, a call that nobody waits for any more, a daemon that leaves), and when
// nothing was read for idleWatch, the connection's own goroutine reads.

// idleWatch is how long nobody may read from a connection: so late a leaving daemon is noticed, and a batch whose consumer
// takes its time is read for.
const idleWatch = 100 * time.Millisecond

// assignTurnLocked gives p the turn if it wants it and is alone, and else makes sure that somebody reads.
func (k *clientConn) assignTurnLocked(p *pendingCall) {
	p.leads = p.leads && k.takeTurnLocked(1)
	k.needReaderLocked()
}

// needReader makes sure that somebody reads.
func (k *clientConn) needReader() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.needReaderLocked()
}

func (k *clientConn) needReaderLocked() {
	if !k.reading {
		k.wakeReader()
	}
}

// takeTurnLocked takes the turn if it is free and there are no more calls than the caller's own.
func (k *clientConn) takeTurnLocked(own int) bool {
	if k.reading || k.wanted || k.calls.n > own {
		return false
	}
	k.reading = true
	return true
}

// tryTurn is takeTurnLocked; if it is in vain, it makes sure that somebody reads.
func (k *clientConn) tryTurn(own int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	mine := k.takeTurnLocked(own)
	k.needReaderLocked()
	return mine
}

// lead reads until there is a token in done or ctx ends. It is for whoever has the turn. The error is why nothing can be
// read any more.
func (k *clientConn) lead(ctx context.Context, done <-chan struct{}) (err error) {
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, k.interrupt)()
	}
	for err == nil && len(done) == 0 && ctx.Err() == nil {
		err = k.readAnswer()
	}
	return err
}

// passTurn gives the turn up, to the connection's goroutine if there is anything to do but for the caller's own calls,
// which will come for the turn again. Err is that of lead.
func (k *clientConn) passTurn(err error, own int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reading, k.failure = false, err
	if err != nil || k.wanted || k.calls.n > own || k.gone != nil || k.calls.n == 0 && k.in.buffered() {
		k.wakeReader()
	}
}

// interrupt makes whoever reads look whether to go on.
func (k *clientConn) interrupt() { _ = k.net.SetReadDeadline(time.Unix(1, 0)) }

// readAnswer reads and delivers one answer, or returns without one after an interrupt. It is for whoever has the turn.
func (k *clientConn) readAnswer() error {
	frame, owner, err := k.in.next()
	switch {
	case err == nil:
		return k.receive(frame, owner)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return k.net.SetReadDeadline(time.Time{})
	}
	return k.receiveOversize(err)
}

// wakeReader tells the connection's goroutine that it is wanted.
func (k *clientConn) wakeReader() {
	select {
	case k.turn <- struct{}{}:
	default:
	}
}

// awaitTurn waits until the connection's goroutine is to read.
func (k *clientConn) awaitTurn() error {
	idle := time.NewTimer(idleWatch)
	defer idle.Stop()
	for {
		select {
		case <-k.turn:
		case <-idle.C:
		}
		if k.takeTurn() {
			return k.failure
		}
	}
}

// takeTurn reports whether the turn was free. If not, it comes next.
func (k *clientConn) takeTurn() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wanted, k.reading = k.reading, true
	return !k.wanted
}

// keepTurn reports whether the connection's goroutine goes on reading. If not, it has given up the turn.
func (k *clientConn) keepTurn() bool {
	if k.in.buffered() {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reading = k.calls.n > 0 || k.gone != nil
	return k.reading
}
