package ipc

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// A task is a request in flight that runs on a goroutine of its own.
type task struct {
	conn      *serverConn
	id        requestID
	method    *method
	arguments []byte
	frame     *scratch // what the arguments alias
	ctx       context.Context
	cancel    context.CancelFunc
	credit    credit
	guarded   bool   // Authorize is to be asked
	token     []byte // for it
	began     time.Time
}

func newTask(k *serverConn, id requestID, m *method, c *call) *task {
	t := &task{conn: k, id: id, method: m, arguments: c.arguments, frame: k.frame, began: k.now()}
	k.frame = nil
	if t.frame == nil && c.arguments != nil { // they are in the reader's buffer, with which it goes on
		t.frame = takeScratch()
		t.frame.b = append(t.frame.b, c.arguments...)
		t.arguments = t.frame.payload()
	}
	t.ctx, t.cancel = withTimeout(k.ctx, c.timeout)
	t.credit.init(c.credit)
	return t
}

// maxTimeout is where a timeout means no deadline, in milliseconds: 34 years.
const maxTimeout = 1 << 40

func withTimeout(ctx context.Context, ms optional) (context.Context, context.CancelFunc) {
	if !ms.ok || ms.n > maxTimeout {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(ms.n)*time.Millisecond)
}

// start queues t and starts a goroutine for the oldest task that has none: so tasks start in the order of arrival,
// whatever the scheduler does.
func (k *serverConn) start(t *task) {
	k.mu.Lock()
	k.flight[t.id] = t
	k.held += len(t.arguments)
	k.queue = append(k.queue, t)
	k.live++
	k.mu.Unlock()
	go k.runOldest()
}

func (k *serverConn) runOldest() {
	defer k.exit()
	k.mu.Lock()
	t := k.queue[0]
	k.queue = k.queue[1:]
	k.mu.Unlock()
	t.run()
}

func (k *serverConn) exit() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.live--
	if k.live == 0 && k.empty != nil {
		close(k.empty)
		k.empty = nil
	}
}

func (k *serverConn) task(id requestID) *task {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.flight[id]
}

// run calls the handler and sends the final answer, unless it was sent already because the server stops.
func (t *task) run() {
	defer t.cancel()
	out := takeScratch()
	err := t.handle(out)
	t.logLate(err)
	t.conn.finish(t, out, err)
	t.frame.put()
}

// lateness is how long before our deadline a client may give up at its own: its clock began earlier.
const lateness = time.Second

// logLate tells of a call that its caller waited for in vain, with what it ended with: often the wait that was too long. The
// answer does not reach anybody.
func (t *task) logLate(err error) {
	log := t.conn.srv.Log
	if log == nil || t.ctx.Err() == nil || t.method.stream != nil {
		return
	}
	if deadline, ok := t.ctx.Deadline(); ok && time.Until(deadline) < lateness {
		log.Warn("call was not answered in time", "method", t.method.info.Name, "late", max(0, time.Since(deadline)), "err", err)
	}
}

// handle appends the payload of the final ok to out; that of a stream has none.
func (t *task) handle(out *scratch) error {
	return t.guard(func() (err error) {
		if err := t.authorize(); err != nil {
			return err
		}
		if t.method.stream != nil {
			return t.method.stream(t.ctx, t.arguments, t.send)
		}
		err = t.method.unary(t.ctx, out, t.arguments)
		out.keep(&t.frame)
		return err
	})
}

// authorize asks whether t may run. A call that has ended meanwhile does not, and costs nobody a token.
func (t *task) authorize() error {
	switch {
	case !t.guarded:
		return nil
	case t.ctx.Err() != nil:
		return t.ctx.Err()
	case len(t.token) > maxToken:
		return Errorf(PermissionDenied, "the token has more than %d bytes", maxToken)
	}
	return t.conn.srv.Authorize(t.ctx, t.method.info, t.token)
}

func (t *task) guard(f func() error) (err error) {
	defer t.conn.recovered(t.method, &err)
	return f()
}

// recovered turns a panic of a handler into an internal error: it is one call's failure, not everybody's.
func (k *serverConn) recovered(m *method, err *error) {
	value := recover()
	if value == nil {
		return
	}
	*err = fmt.Errorf("panic in %s: %v", m.info.Name, value)
	if k.srv.Log != nil {
		k.srv.Log.Error("handler panicked", "method", m.info.Name, "err", value, "stack", string(debug.Stack()))
	}
}

// fits reports whether the peer accepts a payload of that size.
func (k *serverConn) fits(out *scratch) error {
	if limit := k.limits.MaxFrame - envelopeRoom; out.size() > limit {
		return Errorf(TooLarge, "the answer of %d bytes exceeds the limit of %d", out.size(), limit)
	}
	return nil
}

// finish sends the final answer of t once: whoever takes t from the table sends it.
func (k *serverConn) finish(t *task, out *scratch, err error) {
	k.mu.Lock()
	mine := k.flight[t.id] == t
	if mine {
		delete(k.flight, t.id)
		k.held -= len(t.arguments)
	}
	others := len(k.flight) > 0
	k.mu.Unlock()
	if !mine {
		out.put()
		return
	}
	first := k.reply(&t.id, t.method, t.began, out, err)
	if first && others {
		runtime.Gosched() // they may be about to answer as well: one system call for all
	}
	if first {
		k.out.flush()
	}
}

func (k *serverConn) reply(id *requestID, m *method, began time.Time, out *scratch, err error) (first bool) {
	if err == nil {
		err = k.fits(out)
	}
	k.logCall(m, began, err)
	first = k.answer(id.bytes(), out, err)
	if k.srv.Activity != nil {
		k.srv.Activity.Add(-1)
	}
	return first
}

// now is the time, if anybody is going to read of it.
func (k *serverConn) now() (t time.Time) {
	if k.logs {
		t = time.Now()
	}
	return t
}

// logCall reports a defect always, since its cause does not cross the wire, and any other call if that is asked for.
func (k *serverConn) logCall(m *method, began time.Time, err error) {
	switch {
	case k.srv.Log != nil && err != nil && CodeOf(err) == Internal:
		k.srv.Log.Error("call failed", "method", m.info.Name, "err", err)
	case k.logs && err != nil:
		k.srv.Log.Debug("call", "method", m.info.Name, "took", time.Since(began), "code", CodeOf(err).String(), "err", err)
	case k.logs:
		k.srv.Log.Debug("call", "method", m.info.Name, "took", time.Since(began))
	}
}

// runInline calls the handler on the reader.
func (k *serverConn) runInline(id requestID, m *method, c *call) {
	began, out := k.now(), takeScratch()
	err := k.callInline(m, c, out)
	k.reply(&id, m, began, out, err)
}

func (k *serverConn) callInline(m *method, c *call, out *scratch) (err error) {
	defer k.recovered(m, &err)
	err = m.unary(k.inlineContext(c.timeout), out, c.arguments)
	if k.frame == nil && len(c.arguments) >= largeFrame {
		out.own() // it may be of the reader's buffer, which is read into before it is sent
	}
	out.keep(&k.frame)
	return err
}

// deadlineContext is a context that tells the deadline of a call without watching over it: an inline handler is done
// before anybody could act on it.
type deadlineContext struct {
	context.Context
	arrived time.Time
	timeout uint64 // in milliseconds
}

func (d *deadlineContext) Deadline() (time.Time, bool) {
	return d.arrived.Add(time.Duration(d.timeout) * time.Millisecond), true
}

// inlineContext returns the same for calls that came together and have the same time left, as those of a batch have.
func (k *serverConn) inlineContext(ms optional) context.Context {
	if !ms.ok || ms.n > maxTimeout {
		return k.ctx
	}
	if last := k.inline; last == nil || last.timeout != ms.n || last.arrived != k.arrived {
		k.inline = &deadlineContext{k.ctx, k.arrived, ms.n}
	}
	return k.inline
}

// waitForTasks waits until no handler runs, ctx ends or the deadline (if any) passes.
func (k *serverConn) waitForTasks(ctx context.Context, deadline time.Time) {
	k.mu.Lock()
	if k.live == 0 {
		k.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	k.empty = empty
	k.mu.Unlock()
	if err := waitFor(ctx, empty, deadline); err != nil && ctx.Err() == nil && k.srv.Log != nil {
		k.srv.Log.Warn("handlers do not return after their context ended", "count", k.running())
	}
}

func (k *serverConn) running() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.live
}

// failTasks answers everything in flight in place of handlers that do not return.
func (k *serverConn) failTasks(err error) {
	k.mu.Lock()
	left := k.flight
	k.flight = map[requestID]*task{}
	k.mu.Unlock()
	for id, t := range left {
		k.out.sendUrgent(appendError(nil, id.bytes(), err))
		if k.srv.Activity != nil {
			k.srv.Activity.Add(-1)
		}
		t.cancel()
	}
}
