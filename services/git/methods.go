package git

import (
	"context"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
)

// The methods of gitd.
var (
	// Create stores a new project. The identity document is signed by its delegates' own agents before.
	Create = ipc.Unary[CreateArgs, Project]{Name: "git.create", Access: ipc.Change, Short: "store a new project"}
	// Projects lists what is stored here.
	Projects = ipc.Unary[ipc.Empty, ProjectsResult]{Name: "git.projects", Access: ipc.Read, Short: "list the projects stored here"}
	// Show describes one project.
	Show = ipc.Unary[ProjectArgs, Project]{Name: "git.project", Access: ipc.Read, Short: "describe a project"}
	// Refs lists what a peer has signed, in parts: there may be more than a message holds. SignedRefs puts them together.
	Refs = ipc.Stream[RefsArgs, RefsResult]{Name: "git.refs", Access: ipc.Read, Short: "list a peer's signed refs of a project"}
	// Verify checks every signature of a peer's refs back to the first, and that the refs are what was signed.
	Verify = ipc.Unary[RefsArgs, VerifyResult]{Name: "git.verify", Access: ipc.Read, Short: "verify identity, signed refs and refs of a project"}
	// HostKey tells the key by which gitd authenticates itself to ssh. It changes whenever gitd is started.
	HostKey = ipc.Unary[ipc.Empty, HostKeyResult]{Name: "git.host-key", Access: ipc.Read, Inline: true, Short: "show the SSH host key of this instance"}
)

// Methods lists every method of gitd.
func Methods() []ipc.Method {
	return []ipc.Method{
		Create, Projects, Show, Refs, Verify, ShowIdentity, ProposeIdentity, SignIdentity, OverrideIdentity, CancelIdentity, HostKey,
	}
}

// CreateArgs carries a complete identity document.
type CreateArgs struct {
	Identity [][]byte `cbor:"0,keyasint" json:"identity" help:"all versions of the signed identity document, the first one first"`
}

// ProjectArgs names a project.
type ProjectArgs struct {
	Project string `cbor:"0,keyasint" json:"project" arg:"PROJECT" help:"URN of the project, rad:z..."`
}

// RefsArgs names what a peer has in a project.
type RefsArgs struct {
	Project string `cbor:"0,keyasint" json:"project" arg:"PROJECT" help:"URN of the project, rad:z..."`
	Peer    string `cbor:"1,keyasint,omitempty" json:"peer,omitempty" help:"whose refs; the daemon's own peer if not given"`
}

// Project is what an identity document says, and where the project stands.
type Project struct {
	URN           project.URN `cbor:"0,keyasint" json:"urn" help:"rad:z..."`
	Name          string      `cbor:"1,keyasint" json:"name" help:"one line"`
	Description   string      `cbor:"2,keyasint" json:"description" help:"any text"`
	DefaultBranch string      `cbor:"3,keyasint" json:"default_branch" help:"without refs/heads/"`
	Delegates     []peer.ID   `cbor:"4,keyasint" json:"delegates" help:"who speaks for the project"`
	Threshold     int         `cbor:"5,keyasint" json:"threshold" help:"how many delegates it takes"`
	Version       int64       `cbor:"6,keyasint" json:"version" help:"of the identity document"`
	Expires       time.Time   `cbor:"7,keyasint" json:"expires" help:"when the delegates are to sign a new version"`
	Head          project.OID `cbor:"8,keyasint" json:"head" help:"the commit that the delegates agree on; zeros if none"`
	Peers         []peer.ID   `cbor:"9,keyasint" json:"peers" help:"who has signed refs here"`
}

// ProjectsResult lists projects.
type ProjectsResult struct {
	Projects []Project `cbor:"0,keyasint" json:"projects" help:"sorted by URN"`
	Broken   []Broken  `cbor:"1,keyasint,omitempty" json:"broken,omitempty" help:"projects that cannot be read"`
}

// Broken is a project that cannot be read.
type Broken struct {
	URN     project.URN `cbor:"0,keyasint" json:"urn" help:"rad:z..."`
	Problem string      `cbor:"1,keyasint" json:"problem" help:"what is wrong"`
}

// RefsResult is the newest set of refs that a peer has signed, or a part of it. Parts differ in their refs alone; there is
// at least one.
type RefsResult struct {
	Peer   peer.ID     `cbor:"0,keyasint" json:"peer" help:"who signed"`
	Seq    uint64      `cbor:"1,keyasint" json:"seq" help:"how many sets the peer has signed, 0 for none"`
	Commit project.OID `cbor:"2,keyasint" json:"commit" help:"that holds the signed set"`
	Refs   []Ref       `cbor:"3,keyasint" json:"refs" help:"sorted by name"`
}

// refsLimit is how long SignedRefs waits, like any call that has no deadline of its own.
const refsLimit = 30 * time.Second

// SignedRefs returns all that a peer has signed. It waits until ctx ends, at most 30 s. The errors are those of the call.
func SignedRefs(ctx context.Context, c *ipc.Client, args RefsArgs) (all RefsResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, refsLimit)
	defer cancel()
	for part, err := range Refs.Call(ctx, c, args) {
		if err != nil {
			return RefsResult{}, err
		}
		part.Refs = append(all.Refs, part.Refs...)
		all = part
	}
	return all, nil
}

// Ref is one ref.
type Ref struct {
	Name string      `cbor:"0,keyasint" json:"name" help:"relative to the peer's namespace, refs/heads/main"`
	OID  project.OID `cbor:"1,keyasint" json:"oid" help:"where it points"`
}

// VerifyResult says what was checked and what is wrong. The project is in order if there are no faults.
type VerifyResult struct {
	Peer     peer.ID     `cbor:"0,keyasint" json:"peer" help:"whose refs"`
	Commit   project.OID `cbor:"1,keyasint" json:"commit" help:"of the newest signed set"`
	Seq      uint64      `cbor:"2,keyasint" json:"seq" help:"number of the newest signed set"`
	Verified int         `cbor:"3,keyasint" json:"verified" help:"signed sets whose signature is good"`
	Refs     int         `cbor:"4,keyasint" json:"refs" help:"refs that are where the peer signed that they are"`
	Faults   []Fault     `cbor:"5,keyasint" json:"faults" help:"what is wrong; none if all is well"`
}

// HostKeyResult is a host key.
type HostKeyResult struct {
	Key string `cbor:"0,keyasint" json:"key" help:"ssh-ed25519 AAAA..., as in a known_hosts file"`
}

// Fault is one thing that is wrong.
type Fault struct {
	Part    string `cbor:"0,keyasint" json:"part" help:"identity, signed refs, sequence, or refs"`
	Ref     string `cbor:"1,keyasint,omitempty" json:"ref,omitempty" help:"which ref"`
	Message string `cbor:"2,keyasint" json:"message" help:"what is wrong with it"`
}
