package pubsub

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/lnk-suite/lnk/ipc"
)

// Many messages at once go as one batch, which the bus syncs to disk once instead of once per message: a push of
// 1,000 refs would otherwise wait for 1,000 syncs. A batch is stored whole or not at all. (nats-server ADR-50.)
const (
	batchLeast = 12      // messages from which on a batch is faster: it costs a folder and some syncs of its own
	batchMost  = 1000    // messages of one batch, the server's limit
	batchBytes = 4 << 20 // of one batch, at most
)

const (
	headerBatch       = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// nextBatch returns how many of the messages that are left go into one batch; 0 if they had better go one by one.
func (p *publishing) nextBatch() int {
	n, bytes := 0, 0
	for _, m := range p.msgs[len(p.acks):] {
		bytes += m.Size()
		if n == batchMost || bytes > batchBytes {
			break
		}
		n++
	}
	if n < batchLeast {
		return 0
	}
	return n
}

// sendBatch publishes the next n messages as one batch. It reports false if the bus does not take them as a batch:
// most often because some of them are stored already.
func (p *publishing) sendBatch(ctx context.Context, conn *conn, n int) (bool, error) {
	inbox := nats.NewInbox()
	answers := make(chan *nats.Msg, 1)
	sub, err := conn.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return false, lost(err)
	}
	defer sub.Unsubscribe()
	id, first := randomID(), len(p.acks)
	for i, m := range p.msgs[first : first+n] {
		part := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{
			headerID: m.Header[headerID], headerBatch: {id}, headerBatchSeq: {strconv.Itoa(i + 1)},
		}}
		if schema, ok := m.Header[headerSchema]; ok {
			part.Header[headerSchema] = schema
		}
		if i == n-1 {
			part.Header.Set(headerBatchCommit, "1")
			part.Reply = inbox
		}
		if err := conn.nc.PublishMsg(part); err != nil {
			return false, lost(err)
		}
	}
	return p.awaitBatch(ctx, conn, answers, n)
}

func (p *publishing) awaitBatch(ctx context.Context, conn *conn, answers <-chan *nats.Msg, n int) (bool, error) {
	refusals, err := conn.denial(p.msgs[len(p.acks) : len(p.acks)+n])
	if err != nil {
		return false, err
	}
	select {
	case m := <-answers:
		var a answer
		if err := json.Unmarshal(m.Data, &a); err != nil || a.Error != nil || a.Seq < uint64(n) {
			return false, nil
		}
		for i := range uint64(n) {
			p.acks = append(p.acks, Ack{Seq: a.Seq - uint64(n) + 1 + i})
		}
		return true, nil
	case <-refusals:
		return p.awaitBatch(ctx, conn, answers, n)
	case <-conn.closed:
		return false, lost(errLost)
	case <-ctx.Done():
		return false, ipc.Errorf(ipc.CodeOf(ctx.Err()), "the bus has not acknowledged %d messages: %w", n, ctx.Err())
	}
}
