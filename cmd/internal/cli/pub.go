package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/pubsub"
)

type pubArgs struct {
	Topic  string `arg:"TOPIC"`
	ID     string `json:"id" help:"the event's <ID>: what was stored once under it is not stored again for ten minutes"`
	Schema string `json:"schema" help:"the payload's format, <NAME/VERSION> such as build.done/1"`
}

// pubResult says where the bus stored an event.
type pubResult struct {
	Seq       uint64 `json:"seq" cbor:"0,keyasint"`
	Duplicate bool   `json:"duplicate" cbor:"1,keyasint"`
	Topic     string `json:"topic" cbor:"2,keyasint"`
}

func pubCommand(a *app) *cobra.Command {
	return verb[pubArgs, pubResult]{
		name:  "pub",
		short: "publish an event",
		long: `Pub publishes standard input as the payload of an event and prints its sequence number once the bus has it on disk. TOPIC is
a whole topic, rad.PEER.script.NAME, or only NAME: then it becomes a script event of the profile in use. Services alone may
publish under their own names.

With --id, an event that is published again (after a crash, say) is stored once; the second time it is called a duplicate.`,
		example: "  echo done | lnk pub build --id \"$commit\"",
		cannot:  "publish",
		exits:   []int{exitNotFound, exitUnavailable, exitNotPermitted, exitDeadline, exitInterrupted},
		run:     a.publish,
		text: func(w io.Writer, r pubResult) error {
			note := ""
			if r.Duplicate {
				note = " duplicate"
			}
			_, err := fmt.Fprintf(w, "%d%s\n", r.Seq, note)
			return err
		},
	}.command(a)
}

func (a *app) publish(ctx context.Context, args pubArgs) (pubResult, error) {
	topic, err := a.scriptTopic(args.Topic)
	if err != nil {
		return pubResult{}, err
	}
	data, err := io.ReadAll(io.LimitReader(a.Stdin, pubsub.MaxData+1))
	if err != nil {
		return pubResult{}, fmt.Errorf("cannot read the payload: %w", err)
	}
	client, err := a.bus()
	if err != nil {
		return pubResult{}, err
	}
	defer client.Close()
	acks, err := client.Publish(ctx, pubsub.Message{Topic: topic, ID: args.ID, Schema: args.Schema, Data: data})
	if err != nil {
		return pubResult{}, err
	}
	return pubResult{acks[0].Seq, acks[0].Duplicate, topic}, nil
}

// scriptTopic makes a whole topic of a script event's name.
func (a *app) scriptTopic(name string) (string, error) {
	if strings.HasPrefix(name, "rad.") {
		return name, nil
	}
	_, p, err := a.current()
	if err != nil {
		return "", err
	}
	topic := pubsub.Topic(p.Peer, "script", name)
	return topic, pubsub.CheckTopic(topic)
}

// bus returns a client of the bus; nothing is sent yet.
func (a *app) bus() (*pubsub.Client, error) {
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	return pubsub.NewClient(dirs.Socket("bus", ""), userAgent), nil
}

type topicsArgs struct {
	Pattern string `arg:"[PATTERN]"`
}

func topicsCommand(a *app) *cobra.Command {
	return verb[topicsArgs, []pubsub.TopicInfo]{
		name:     "topics",
		short:    "list the topics that have stored events",
		long:     "Topics prints the topics that match PATTERN, by default all, with the number of events that the bus has stored of each.",
		cannot:   "list the topics",
		exits:    []int{exitUnavailable, exitDeadline},
		defaults: topicsArgs{Pattern: "rad.>"},
		run: func(ctx context.Context, args topicsArgs) ([]pubsub.TopicInfo, error) {
			client, err := a.bus()
			if err != nil {
				return nil, err
			}
			defer client.Close()
			return client.Topics(ctx, args.Pattern)
		},
		text: func(w io.Writer, list []pubsub.TopicInfo) error {
			return table(w, "EVENTS\tTOPIC", func(row func(...any)) {
				for _, t := range list {
					row(t.Count, t.Topic)
				}
			})
		},
	}.command(a)
}
