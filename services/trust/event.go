package trust

import (
	"time"

	"github.com/lnk-suite/lnk/pubsub"
)

// EventSchema names the encoding of Event in the header of an event.
const EventSchema = "trust.event/1"

// Event says what happened to a document of a repository. It is published on rad.<peer>.trust.<what>: pending, signed,
// replaced, cancelled, published or expiring.
type Event struct {
	Repository string    `cbor:"0,keyasint"`
	Role       string    `cbor:"1,keyasint"`
	Version    int64     `cbor:"2,keyasint"`
	Digest     string    `cbor:"3,keyasint"`           // SHA-256 of what is or was to be signed, in hexadecimal
	Expires    time.Time `cbor:"4,keyasint"`           // when the document expires
	Key        string    `cbor:"5,keyasint,omitempty"` // the peer id of who signed
	Signed     int       `cbor:"6,keyasint,omitempty"` // signatures that count so far
	Threshold  int       `cbor:"7,keyasint,omitempty"` // that are needed, of the document's own role
	Serial     uint64    `cbor:"8,keyasint"`           // counts the events of a repository from 1
}

// EventSchemaOf describes Event to whoever prints events.
func EventSchemaOf() pubsub.Schema {
	const cddl = `event = { 0: tstr, 1: tstr, 2: uint, 3: tstr, 4: tstr, ? 5: tstr, ? 6: uint, ? 7: uint, 8: uint }
`
	return pubsub.SchemaOf(EventSchema, cddl, Event.view)
}

type eventView struct {
	Repository string    `json:"repository"`
	Role       string    `json:"role"`
	Version    int64     `json:"version"`
	Digest     string    `json:"digest"`
	Expires    time.Time `json:"expires"`
	Key        string    `json:"key,omitempty"`
	Signed     int       `json:"signed,omitempty"`
	Threshold  int       `json:"threshold,omitempty"`
	Serial     uint64    `json:"serial"`
}

func (e Event) view() any { return eventView(e) }
