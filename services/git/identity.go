package git

import (
	"encoding/hex"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/trust"
)

// The methods by which delegates sign the next version of a project's identity, each when they can. The daemon signs
// nothing: delegates sign where their agent is, what they have looked at, and bring the signature. What a step must
// fulfil is trust.Process.
var (
	// ShowIdentity returns the identity document and what waits for signatures.
	ShowIdentity = ipc.Unary[ProjectArgs, Identity]{Name: "git.identity.show", Access: ipc.Read, Short: "show the identity document, and the version that waits for signatures"}
	// ProposeIdentity begins the signing of the next version.
	ProposeIdentity = ipc.Unary[ProposeArgs, IdentityResult]{Name: "git.identity.propose", Access: ipc.Change, Short: "propose the next version of the identity document"}
	// SignIdentity brings a signature.
	SignIdentity = ipc.Unary[SignArgs, IdentityResult]{Name: "git.identity.sign", Access: ipc.Change, Short: "add a signature to the version that waits for some"}
	// OverrideIdentity replaces what waits for signatures.
	OverrideIdentity = ipc.Unary[OverrideArgs, IdentityResult]{Name: "git.identity.override", Access: ipc.Change, Short: "replace the version that waits for signatures"}
	// CancelIdentity gives up what waits for signatures.
	CancelIdentity = ipc.Unary[CancelArgs, IdentityResult]{Name: "git.identity.cancel", Access: ipc.Change, Short: "give up the version that waits for signatures"}
)

// ProposeArgs carries the next version of an identity document.
type ProposeArgs struct {
	Project  string `cbor:"0,keyasint" json:"project" arg:"PROJECT" help:"URN of the project, rad:z..."`
	Document []byte `cbor:"1,keyasint" json:"document" help:"the next version, with at least one signature"`
}

// SignArgs brings a signature over what ShowIdentity returned as pending.
type SignArgs struct {
	Project   string `cbor:"0,keyasint" json:"project" arg:"PROJECT" help:"URN of the project, rad:z..."`
	KeyID     string `cbor:"1,keyasint" json:"keyid" help:"TUF key id"`
	Signature []byte `cbor:"2,keyasint" json:"signature" help:"64 bytes"`
	Match     string `cbor:"3,keyasint,omitempty" json:"match,omitempty" help:"digest of what was signed; refused if another version waits by now"`
}

// OverrideArgs replaces what is pending.
type OverrideArgs struct {
	Project  string `cbor:"0,keyasint" json:"project" arg:"PROJECT" help:"URN of the project, rad:z..."`
	Document []byte `cbor:"1,keyasint" json:"document" help:"the new version, with at least one signature"`
	Match    string `cbor:"2,keyasint,omitempty" json:"match,omitempty" help:"digest of what is to be replaced; refused if another version waits by now"`
}

// CancelArgs gives up what is pending.
type CancelArgs struct {
	Project string `cbor:"0,keyasint" json:"project" arg:"PROJECT" help:"URN of the project, rad:z..."`
	Match   string `cbor:"1,keyasint,omitempty" json:"match,omitempty" help:"digest of what is to be given up; refused if another version waits by now"`
}

// Identity is an identity document with its history, and its future as far as it is known.
type Identity struct {
	URN       project.URN        `cbor:"0,keyasint" json:"urn" help:"rad:z..."`
	Documents [][]byte           `cbor:"1,keyasint" json:"documents" help:"all versions, the first one first"`
	Pending   *trust.PendingRole `cbor:"2,keyasint,omitempty" json:"pending,omitempty" help:"what waits for signatures, who signed, who is missing"`
	Next      []byte             `cbor:"3,keyasint,omitempty" json:"next,omitempty" help:"what waits for signatures, with those that it has"`
}

// IdentityResult is what became of a step.
type IdentityResult struct {
	Version  int64  `cbor:"0,keyasint" json:"version" help:"of the document that the step was about"`
	Digest   string `cbor:"1,keyasint" json:"digest" help:"SHA-256 of what is signed, in hexadecimal"`
	Complete bool   `cbor:"2,keyasint" json:"complete" help:"enough have signed: it is the project's identity now"`
	Waits    bool   `cbor:"3,keyasint" json:"waits" help:"signatures are missing"`
}

// IdentitySchema names the encoding of a project.Step in the header of an event. It is published on the topic
// rad.<peer>.git.identity.<what>: pending, signed, replaced, cancelled or published.
const IdentitySchema = "git.identity/1"

// IdentityTopic returns the topic of a step that the daemon of id took.
func IdentityTopic(id peer.ID, kind string) string { return pubsub.Topic(id, "git", "identity."+kind) }

// IdentityEvent returns the message that a recorded step becomes. The step's commit is its id.
func IdentityEvent(s project.RecordedStep) pubsub.Message {
	return pubsub.Message{Topic: IdentityTopic(s.Peer, s.Kind), ID: s.Commit.String(), Schema: IdentitySchema, Data: s.Data}
}

// IdentitySchemaOf describes project.Step to whoever prints events.
func IdentitySchemaOf() pubsub.Schema {
	const cddl = `identity-step = { 0: step, 1: bstr .size 20, 2: tstr, 3: uint, 4: bstr .size 32, 5: tstr, 6: tstr, ? 7: tstr, 8: uint, 9: uint }
step = "pending" / "signed" / "replaced" / "cancelled" / "published"
`
	return pubsub.SchemaOf(IdentitySchema, cddl, identityView)
}

// stepView is how lnk sub -o json shows a step.
type stepView struct {
	Project   string    `json:"project"`
	Step      string    `json:"step"`
	Version   int64     `json:"version"`
	Digest    string    `json:"digest"`
	Expires   time.Time `json:"expires"`
	Since     time.Time `json:"since"`
	Key       string    `json:"key,omitempty"`
	Signed    int       `json:"signed"`
	Threshold int       `json:"threshold"`
}

func identityView(s project.Step) any {
	view := stepView{
		Step: s.Kind, Version: s.Version, Digest: hex.EncodeToString(s.Digest), Expires: s.Expires, Since: s.Since,
		Key: string(s.Key), Signed: s.Signed, Threshold: s.Threshold,
	}
	if len(s.Project) == len(project.OID{}) {
		view.Project = string(project.NewURN(project.OID(s.Project)))
	}
	return view
}
