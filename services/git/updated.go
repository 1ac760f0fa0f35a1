package git

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
)

// UpdatedSchema names the encoding of Updated in the header of an event.
const UpdatedSchema = "git.updated/1"

// Updated says that a peer moved one ref of a project (RFC 0682, "updated"; ours is a map like every other message, and
// leaves room for SHA-256).
type Updated struct {
	Old       []byte `cbor:"0,keyasint"` // all zeros for a new ref
	New       []byte `cbor:"1,keyasint"` // all zeros for a deleted ref
	Namespace []byte `cbor:"2,keyasint"` // project.URN.Bytes
	Ref       string `cbor:"3,keyasint"` // relative to the peer's namespace
}

// Schema describes Updated to whoever prints events.
func Schema() pubsub.Schema {
	const cddl = `updated = { 0: oid, 1: oid, 2: bstr .size 20, 3: tstr }
oid = bstr .size 20 / bstr .size 32
`
	return pubsub.SchemaOf(UpdatedSchema, cddl, Updated.view)
}

// updatedView is how `lnk sub -o json` shows an event.
type updatedView struct {
	Project   string `json:"project"`
	Ref       string `json:"ref"`
	OIDOld    string `json:"oid_old"`
	OIDNew    string `json:"oid_new"`
	Namespace string `json:"namespace"`
}

func (u Updated) view() any {
	view := updatedView{Ref: u.Ref, OIDOld: hex.EncodeToString(u.Old), OIDNew: hex.EncodeToString(u.New), Namespace: hex.EncodeToString(u.Namespace)}
	if len(u.Namespace) == len(project.OID{}) {
		view.Project = string(project.NewURN(project.OID(u.Namespace)))
	}
	return view
}

// Topic returns the topic of a peer's Updated events.
func Topic(id peer.ID) string { return pubsub.Topic(id, "git", "updated") }

// eventKey is what an event's id is the hash of: the same step of the same chain of signed refs always has the same id,
// so publishing it again after a crash stores nothing twice.
type eventKey struct {
	URN  string `cbor:"0,keyasint"`
	Peer string `cbor:"1,keyasint"`
	Seq  uint64 `cbor:"2,keyasint"`
	Ref  string `cbor:"3,keyasint"`
	Old  []byte `cbor:"4,keyasint"`
	New  []byte `cbor:"5,keyasint"`
}

const idSize = 16 // bytes of the hash that make an event's id

// Events returns one message for each ref that differs between the signed refs before and next, sorted by ref. Only
// Refs of before is looked at; it is the zero value for what precedes the first.
func Events(before, next project.SignedRefs) ([]pubsub.Message, error) {
	var messages []pubsub.Message
	for _, change := range project.Diff(before.Refs, next.Refs) {
		id, err := eventID(next, change)
		if err != nil {
			return nil, err
		}
		data, err := ipc.Marshal(Updated{change.Old[:], change.New[:], next.URN.Bytes(), change.Ref})
		if err != nil {
			return nil, fmt.Errorf("cannot encode an event: %w", err)
		}
		messages = append(messages, pubsub.Message{Topic: Topic(next.Peer), ID: id, Schema: UpdatedSchema, Data: data})
	}
	return messages, nil
}

func eventID(s project.SignedRefs, c project.Change) (string, error) {
	key, err := ipc.Marshal(eventKey{string(s.URN), string(s.Peer), s.Seq, c.Ref, c.Old[:], c.New[:]})
	if err != nil {
		return "", fmt.Errorf("cannot encode the id of an event: %w", err)
	}
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:idSize]), nil
}
