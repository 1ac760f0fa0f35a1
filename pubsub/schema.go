package pubsub

import (
	"encoding/base64"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// Schema says what the data of one kind of event means.
type Schema struct {
	Name string                         // git.updated/1
	CDDL string                         // RFC 8610
	JSON func(data []byte) (any, error) // what to print for it: something encoding/json takes
}

// SchemaOf returns the schema of events whose data is a T, decoded strictly; view turns it into what is printed.
func SchemaOf[T any](name, cddl string, view func(T) any) Schema {
	return Schema{Name: name, CDDL: cddl, JSON: func(data []byte) (any, error) {
		var v T
		if err := ipc.Unmarshal(data, &v); err != nil {
			return nil, err
		}
		return view(v), nil
	}}
}

// Schemas are the schemas that somebody knows.
type Schemas []Schema

// Describe returns the schema of that name.
func (s Schemas) Describe(name string) (Schema, bool) {
	for _, schema := range s {
		if schema.Name == name {
			return schema, true
		}
	}
	return Schema{}, false
}

// View is an event as it is printed (lnk sub -o json).
type View struct {
	Seq    uint64    `json:"seq"`
	Time   time.Time `json:"time"`
	Topic  string    `json:"topic"`
	ID     string    `json:"id"`
	Schema string    `json:"schema"`
	Data   any       `json:"data"` // what the schema makes of it, else the bytes in base64
}

// View returns e as it is printed. Data that its schema does not fit is shown like data without a known schema.
func (s Schemas) View(e Event) View {
	v := View{Seq: e.Seq, Time: e.Time.UTC(), Topic: e.Topic, ID: e.ID, Schema: e.Schema}
	if schema, ok := s.Describe(e.Schema); ok {
		if data, err := schema.JSON(e.Data); err == nil {
			v.Data = data
			return v
		}
	}
	v.Data = base64.StdEncoding.EncodeToString(e.Data)
	return v
}
