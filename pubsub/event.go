package pubsub

import (
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// Message is what a publisher says: something happened.
type Message struct {
	Topic  string // rad.<peer>.<service>.<event>
	ID     string // equal ids are the same message; 1 to 128 visible ASCII characters, "" lets Publish choose one
	Schema string // name and version of Data's schema, git.updated/1; "" if there is none
	Data   []byte // of a service one CBOR item, deterministically encoded, of a script anything; at most MaxData bytes
}

// Event is a message as the bus stored it.
type Event struct {
	Message
	Seq  uint64    // number in the bus's stream, from 1, growing, shared by all topics
	Time time.Time // when it was stored
}

// Ack says that a message is stored on disk.
type Ack struct {
	Seq       uint64 // its number
	Duplicate bool   // it was there already
}

// MaxData is the limit of Message.Data in bytes: 1 MiB for the whole message, less room for topic and headers.
const MaxData = 1<<20 - 4<<10

const (
	maxName      = 128 // bytes of an id or a schema's name
	headerID     = "Nats-Msg-Id"
	headerSchema = "Lnk-Schema"
)

// check refuses what the bus would refuse, or worse, what it would take and nobody could use.
func (m Message) check() error {
	if err := CheckTopic(m.Topic); err != nil {
		return err
	}
	if !isVisible(m.ID) || !isVisible(m.Schema) {
		return ipc.Errorf(ipc.BadRequest, "id and schema of a message on %s must be at most %d visible ASCII characters", m.Topic, maxName)
	}
	if len(m.Data) > MaxData {
		return ipc.Errorf(ipc.TooLarge, "message of %d bytes on %s is larger than %d", len(m.Data), m.Topic, MaxData).
			WithHint("publish a reference to the data instead")
	}
	return nil
}

func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= maxName
}
