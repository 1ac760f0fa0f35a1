package pubsub

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TopicInfo says how many events of a topic are stored.
type TopicInfo struct {
	Topic string `json:"topic"`
	Count uint64 `json:"count"`
}

// Topics lists the topics that match pattern and have stored events, in alphabetical order.
func (c *Client) Topics(ctx context.Context, pattern string) ([]TopicInfo, error) {
	if err := CheckPattern(pattern); err != nil {
		return nil, err
	}
	info, err := c.look(ctx, jetstream.WithSubjectFilter(pattern))
	if err != nil {
		return nil, err
	}
	topics := make([]TopicInfo, 0, len(info.State.Subjects))
	for topic, count := range info.State.Subjects {
		topics = append(topics, TopicInfo{Topic: topic, Count: count})
	}
	slices.SortFunc(topics, func(a, b TopicInfo) int { return cmp.Compare(a.Topic, b.Topic) })
	return topics, nil
}

// State is what the bus has stored.
type State struct {
	First uint64    `json:"first"` // number of the oldest event; Last+1 if there is none
	Last  uint64    `json:"last"`  // number of the newest event ever stored, 0 if none was
	Count uint64    `json:"count"` // events stored
	Bytes uint64    `json:"bytes"` // bytes they take on disk
	Since time.Time `json:"since"` // when the bus began to store
}

// State tells what the bus has stored. Start{Seq: state.Last + 1} subscribes to what happens after it.
func (c *Client) State(ctx context.Context) (State, error) {
	info, err := c.look(ctx)
	if err != nil {
		return State{}, err
	}
	s := info.State
	return State{First: max(s.FirstSeq, 1), Last: s.LastSeq, Count: s.Msgs, Bytes: s.Bytes, Since: info.Created}, nil
}

func (c *Client) look(ctx context.Context, opts ...jetstream.StreamInfoOpt) (info *jetstream.StreamInfo, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err = retry(ctx, func() error {
		return c.use(ctx, func(conn *conn) (err error) {
			_, info, err = conn.look(ctx, opts...)
			return err
		})
	})
	return info, err
}
