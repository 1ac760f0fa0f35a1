package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
)

// cborEvent is an event as lnk sub -o cbor prints it; the payload stays as it was published.
type cborEvent struct {
	Seq    uint64 `cbor:"0,keyasint"`
	Time   string `cbor:"1,keyasint"` // RFC 3339, UTC
	Topic  string `cbor:"2,keyasint"`
	ID     string `cbor:"3,keyasint"`
	Schema string `cbor:"4,keyasint"`
	Data   []byte `cbor:"5,keyasint"`
}

// printEvent prints one event: a JSON object per line, or a CBOR sequence. There is no other text form, so that a script
// works whatever -o says.
func (a *app) printEvent(event pubsub.Event) error {
	if a.format == cborFormat {
		data, err := ipc.Marshal(cborEvent{event.Seq, event.Time.UTC().Format(time.RFC3339Nano), event.Topic, event.ID, event.Schema, event.Data})
		if err != nil {
			return fmt.Errorf("cannot encode event %d: %w", event.Seq, err)
		}
		return a.write(data)
	}
	line, err := encodeEvent(event)
	if err != nil {
		return err
	}
	return a.write(line)
}

// encodeEvent returns an event as a line of JSON.
func encodeEvent(event pubsub.Event) ([]byte, error) {
	line, err := json.Marshal(schemas().View(event))
	if err != nil {
		return nil, fmt.Errorf("cannot encode event %d: %w", event.Seq, err)
	}
	return append(line, '\n'), nil
}
