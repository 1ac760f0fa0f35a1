package pubsub

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lnk-suite/lnk/ipc"
)

const (
	windowMessages = 512     // published and not acknowledged, at most
	windowBytes    = 4 << 20 // likewise; below what the bus lets wait for one client
)

var (
	errLost    = errors.New("the connection to the bus was lost")
	errSkipped = errors.New("a message was skipped")
)

// Publish stores messages in order and returns once each is on the bus's disk. All are checked before the first is
// sent. If the bus leaves or restarts meanwhile, what was not acknowledged is sent again to the next one, where
// the ids keep it from being stored twice. On an error the acknowledgements of the messages that are known to be
// stored come with it: the first len(acks) of msgs; whether later ones are is unknown.
//
// Errors: ipc.BadRequest and ipc.TooLarge for a message that cannot be published, ipc.PermissionDenied for a topic
// of somebody else's service, ipc.Unavailable without a bus, ipc.ResourceExhausted when its disk is full. Without a
// deadline in ctx it takes 30 s at most.
func (c *Client) Publish(ctx context.Context, msgs ...Message) ([]Ack, error) {
	p := publishing{acks: make([]Ack, 0, len(msgs))}
	for _, m := range msgs {
		if err := m.check(); err != nil {
			return nil, err
		}
		p.msgs = append(p.msgs, m.wire())
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := retry(ctx, func() error {
		return c.use(ctx, func(conn *conn) error { return p.run(ctx, conn) })
	})
	return p.acks, err
}

// retry calls f until it succeeds, fails for good, or ctx ends; it returns f's last error.
func retry(ctx context.Context, f func() error) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := f()
		if err == nil || !isPassing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// isPassing tells whether another try may help: the bus restarts, or its engine is being replaced.
func isPassing(err error) bool {
	return ipc.CodeOf(err) == ipc.Unavailable && !isAbsent(err) || ipc.CodeOf(err) == ipc.GoingAway
}

// wire returns the NATS form of a message. It has an id in any case, or sending it again would store it twice.
func (m Message) wire() *nats.Msg {
	if m.ID == "" {
		m.ID = randomID()
	}
	w := nats.NewMsg(m.Topic)
	w.Data = m.Data
	w.Header.Set(headerID, m.ID)
	if m.Schema != "" {
		w.Header.Set(headerSchema, m.Schema)
	}
	return w
}

// A publishing is the state of one Publish over as many connections as it takes. Acknowledgements come in the order
// of the messages.
type publishing struct {
	msgs []*nats.Msg
	acks []Ack
}

// run sends what has no acknowledgement yet over conn: in batches, or one by one.
func (p *publishing) run(ctx context.Context, conn *conn) error {
	for {
		n := p.nextBatch()
		if n == 0 {
			break
		}
		if ok, err := p.sendBatch(ctx, conn, n); err != nil {
			return err
		} else if !ok {
			break
		}
	}
	return p.sendEach(ctx, conn)
}

// sendEach sends what has no acknowledgement yet one by one, at most a window ahead of the acknowledgements.
func (p *publishing) sendEach(ctx context.Context, conn *conn) error {
	inbox := nats.NewInbox()
	answers := make(chan *nats.Msg, windowMessages)
	sub, err := conn.nc.ChanSubscribe(inbox+".*", answers)
	if err != nil {
		return lost(err)
	}
	defer sub.Unsubscribe()
	sent, bytes := len(p.acks), 0
	for len(p.acks) < len(p.msgs) {
		for sent < len(p.msgs) && sent-len(p.acks) < windowMessages && bytes < windowBytes {
			if err := p.send(conn, sent, inbox); err != nil {
				return err
			}
			bytes += p.msgs[sent].Size()
			sent++
		}
		if err := p.await(ctx, conn, answers); err != nil {
			return err
		}
		bytes -= p.msgs[len(p.acks)-1].Size()
	}
	return nil
}

func (p *publishing) send(conn *conn, i int, inbox string) error {
	p.msgs[i].Reply = inbox + "." + strconv.Itoa(i)
	if err := conn.nc.PublishMsg(p.msgs[i]); err != nil {
		return lost(err)
	}
	return nil
}

// await takes the next acknowledgement. Those that arrived before the connection ended still count.
func (p *publishing) await(ctx context.Context, conn *conn, answers <-chan *nats.Msg) error {
	next := p.msgs[len(p.acks)]
	refusals, err := conn.denial([]*nats.Msg{next})
	if err != nil {
		return err
	}
	select {
	case answer := <-answers:
		return p.take(answer)
	default:
	}
	select {
	case answer := <-answers:
		return p.take(answer)
	case <-refusals:
		return p.await(ctx, conn, answers)
	case <-conn.closed:
		return lost(errLost)
	case <-ctx.Done():
		return ipc.Errorf(ipc.CodeOf(ctx.Err()), "the bus has not acknowledged a message on %s: %w", next.Subject, ctx.Err())
	}
}

func lost(err error) error { return ipc.Errorf(ipc.Unavailable, "cannot publish: %w", err) }

// answer is the bus's word on one message (JetStream's PubAck).
type answer struct {
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Error     *struct {
		Code        int    `json:"code"`
		ErrCode     int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// take reads an answer. One that belongs to a later message says that the bus refused the next one, which it will
// have told, or tells when it gets it again. One without data says that nobody is there to store events: the engine
// is being replaced.
func (p *publishing) take(m *nats.Msg) error {
	topic := p.msgs[len(p.acks)].Subject
	if m.Subject != p.msgs[len(p.acks)].Reply {
		return lost(errSkipped)
	}
	if len(m.Data) == 0 {
		return ipc.Errorf(ipc.Unavailable, "the bus does not store events at the moment")
	}
	var a answer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return ipc.Errorf(ipc.Corrupt, "cannot read the bus's answer to a message on %s: %w", topic, err)
	}
	if a.Error == nil {
		p.acks = append(p.acks, Ack{Seq: a.Seq, Duplicate: a.Duplicate})
		return nil
	}
	code := ipc.Internal
	switch a.Error.ErrCode {
	case 10023, 10047, 10077, 10002: // insufficient resources, storage exceeded, store failed, account limits
		code = ipc.ResourceExhausted
	case 10054:
		code = ipc.TooLarge
	}
	return withHint(ipc.Errorf(code, "the bus cannot store a message on %s: %s", topic, a.Error.Description))
}
