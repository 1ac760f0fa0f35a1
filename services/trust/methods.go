package trust

import (
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// The methods of trustd. Nobody's key but the online one is needed for any of them: people sign where their agent is, and
// bring the signature.
var (
	// Repositories lists what is kept here.
	Repositories = ipc.Unary[ipc.Empty, RepositoriesResult]{Name: "trust.repositories", Access: ipc.Read, Short: "list the repositories kept here"}
	// Status tells where a repository stands.
	Status = ipc.Unary[RepositoryArgs, StatusResult]{Name: "trust.status", Access: ipc.Read, Short: "tell where a repository stands"}
	// Show returns a document that waits for signatures.
	Show = ipc.Unary[RoleArgs, ShowResult]{Name: "trust.show", Access: ipc.Read, Short: "show what waits for signatures, who signed and who is missing"}
	// Artifacts lists the targets of a repository, sorted by path: there may be more than a message holds.
	Artifacts = ipc.Stream[RepositoryArgs, Artifact]{Name: "trust.artifacts", Access: ipc.Read, Short: "list the artifacts of a repository"}
	// Bootstrap begins a repository.
	Bootstrap = ipc.Unary[BootstrapArgs, Result]{Name: "trust.bootstrap", Access: ipc.Change, Short: "begin a repository with its first root"}
	// Update proposes the next root.
	Update = ipc.Unary[UpdateArgs, Result]{Name: "trust.update", Access: ipc.Change, Short: "propose the next version of root"}
	// AddTo brings a signature.
	AddTo = ipc.Unary[SignArgs, Result]{Name: "trust.sign", Access: ipc.Change, Short: "add a signature to what waits for some"}
	// Override replaces what waits for signatures.
	Override = ipc.Unary[OverrideArgs, Result]{Name: "trust.override", Access: ipc.Change, Short: "replace what waits for signatures"}
	// Cancel ends a signing process.
	Cancel = ipc.Unary[CancelArgs, Result]{Name: "trust.cancel", Access: ipc.Change, Short: "end a signing process"}
	// Configure changes how long new versions are good.
	Configure = ipc.Unary[ConfigureArgs, Result]{Name: "trust.configure", Access: ipc.Change, Short: "change for how many days new versions are good"}
	// Force makes new versions of roles: those that are signed online are published, those that people sign wait for them.
	Force = ipc.Unary[ForceArgs, Result]{Name: "trust.force", Access: ipc.Change, Short: "make new versions of roles other than root"}
	// Delegate leaves paths to a role.
	Delegate = ipc.Unary[DelegateArgs, Result]{Name: "trust.delegate", Access: ipc.Change, Short: "leave some paths to a role"}
	// Undelegate takes them back.
	Undelegate = ipc.Unary[UndelegateArgs, Result]{Name: "trust.undelegate", Access: ipc.Change, Short: "take a delegation back"}
	// Add adds artifacts.
	Add = ipc.Unary[AddArgs, Result]{Name: "trust.add", Access: ipc.Change, Short: "add artifacts"}
	// Remove removes artifacts.
	Remove = ipc.Unary[RemoveArgs, Result]{Name: "trust.rm", Access: ipc.Change, Short: "remove artifacts"}
	// Publish publishes what was only staged.
	Publish = ipc.Unary[RepositoryArgs, Result]{Name: "trust.publish", Access: ipc.Change, Short: "publish what is staged"}
	// Renew does what time demands, in every repository.
	Renew = ipc.Unary[RenewArgs, Result]{Name: "trust.renew", Access: ipc.Change, Short: "re-sign what is about to expire, in every repository, and warn of what people must sign"}
)

// Methods lists every method of trustd.
func Methods() []ipc.Method {
	return []ipc.Method{
		Repositories, Status, Show, Artifacts, Bootstrap, Update, AddTo, Override, Cancel, Configure, Force, Delegate, Undelegate,
		Add, Remove, Publish, Renew,
	}
}

// DefaultRepository is the one that is meant if none is named.
const DefaultRepository = "default"

// RepositoryArgs names a repository.
type RepositoryArgs struct {
	Repository string `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Agent      string `cbor:"1,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
}

// RoleArgs names a role of a repository.
type RoleArgs struct {
	Repository string `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Role       string `cbor:"1,keyasint,omitempty" json:"role,omitempty" arg:"[ROLE]" help:"root if not given"`
}

// BootstrapArgs begins a repository. Give either Bins or Delegations.
type BootstrapArgs struct {
	Repository  string         `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Root        []byte         `cbor:"1,keyasint" json:"root" help:"the first root document, with at least one signature"`
	Expiration  map[string]int `cbor:"2,keyasint" json:"-" help:"days that versions of root, targets, snapshot, timestamp and bins are good"`
	Bins        int            `cbor:"3,keyasint,omitempty" json:"bins,omitempty" help:"number of hash bins, a power of two from 2 to 16384"`
	Delegations []Delegation   `cbor:"4,keyasint,omitempty" json:"-" help:"roles to leave paths to"`
	Deadline    *time.Time     `cbor:"5,keyasint,omitempty" json:"-" help:"when the process ends if signatures are missing"`
	Agent       string         `cbor:"6,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
}

// Delegation leaves paths to a role.
type Delegation struct {
	Name        string    `cbor:"0,keyasint" json:"name" arg:"ROLE" help:"name of the role"`
	Peers       []peer.ID `cbor:"1,keyasint,omitempty" json:"-" help:"who signs; nobody: the online key"`
	Threshold   int       `cbor:"2,keyasint,omitempty" json:"threshold,omitempty" help:"how many of them it takes"`
	Paths       []string  `cbor:"3,keyasint" json:"paths" help:"patterns of paths"`
	Terminating bool      `cbor:"4,keyasint,omitempty" json:"terminating,omitempty" help:"clients look no further"`
	Days        int       `cbor:"5,keyasint,omitempty" json:"days,omitempty" help:"how long versions are good"`

	Names map[peer.ID]string `cbor:"6,keyasint,omitempty" json:"names,omitempty" help:"what people call who signs"`
}

// UpdateArgs proposes a root.
type UpdateArgs struct {
	Repository string     `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Root       []byte     `cbor:"1,keyasint" json:"root" help:"the next root document, with at least one signature"`
	Deadline   *time.Time `cbor:"2,keyasint,omitempty" json:"-" help:"when the process ends if signatures are missing"`
	Agent      string     `cbor:"3,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
}

// SignArgs brings a signature over the payload of what Show returned.
type SignArgs struct {
	Repository string `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Role       string `cbor:"1,keyasint,omitempty" json:"role,omitempty" help:"root if not given"`
	KeyID      string `cbor:"2,keyasint" json:"keyid" help:"TUF key id"`
	Signature  []byte `cbor:"3,keyasint" json:"signature" help:"64 bytes"`
	Agent      string `cbor:"4,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
	Match      string `cbor:"5,keyasint,omitempty" json:"match,omitempty" help:"digest of what was signed; refused if another document is pending by now"`
}

// OverrideArgs replaces what is pending.
type OverrideArgs struct {
	Repository string `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Role       string `cbor:"1,keyasint,omitempty" json:"role,omitempty" help:"root if not given"`
	Metadata   []byte `cbor:"2,keyasint" json:"metadata" help:"the new document, with at least one signature"`
	Match      string `cbor:"3,keyasint,omitempty" json:"match,omitempty" help:"digest of what is to be replaced; refused if it is another by now"`
	Agent      string `cbor:"4,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
}

// CancelArgs ends a signing process.
type CancelArgs struct {
	Repository string `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Role       string `cbor:"1,keyasint,omitempty" json:"role,omitempty" arg:"[ROLE]" help:"root if not given"`
	Match      string `cbor:"2,keyasint,omitempty" json:"match,omitempty" help:"digest of what is to be cancelled; refused if it is another by now"`
}

// ConfigureArgs changes expirations.
type ConfigureArgs struct {
	Repository string         `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Expiration map[string]int `cbor:"1,keyasint" json:"-" help:"days by role"`
}

// ForceArgs names roles other than root.
type ForceArgs struct {
	Repository string     `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Roles      []string   `cbor:"1,keyasint,omitempty" json:"roles,omitempty" arg:"[ROLE...]" help:"all that are signed online if none is given"`
	Agent      string     `cbor:"2,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
	Deadline   *time.Time `cbor:"3,keyasint,omitempty" json:"-" help:"when the processes of roles that people sign end if signatures are missing"`
}

// DelegateArgs adds or changes delegations.
type DelegateArgs struct {
	Repository  string       `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Delegations []Delegation `cbor:"1,keyasint" json:"-" help:"roles to leave paths to"`
	Agent       string       `cbor:"2,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
	Deadline    *time.Time   `cbor:"3,keyasint,omitempty" json:"-" help:"when the processes end if signatures are missing"`
}

// UndelegateArgs names roles.
type UndelegateArgs struct {
	Repository string   `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Roles      []string `cbor:"1,keyasint" json:"roles" arg:"ROLE..." help:"roles to take the paths from"`
	Agent      string   `cbor:"2,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
}

// Artifact is something that clients download. With File, trustd takes a copy and finds length and hashes itself.
type Artifact struct {
	Path   string            `cbor:"0,keyasint" json:"path" help:"what clients ask for, with slashes"`
	Length int64             `cbor:"1,keyasint,omitempty" json:"length,omitempty" help:"in bytes"`
	Hashes map[string]string `cbor:"2,keyasint,omitempty" json:"hashes,omitempty" help:"by algorithm, in hexadecimal"`
	Custom []byte            `cbor:"3,keyasint,omitempty" json:"custom,omitempty" help:"a JSON object"`
	File   string            `cbor:"4,keyasint,omitempty" json:"file,omitempty" help:"absolute path of a local file to serve"`
}

// AddArgs adds artifacts.
type AddArgs struct {
	Repository string     `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Artifacts  []Artifact `cbor:"1,keyasint" json:"-" help:"what to add or replace"`
	Stage      bool       `cbor:"2,keyasint,omitempty" json:"stage,omitempty" help:"wait for publish"`
	Agent      string     `cbor:"3,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
}

// RemoveArgs removes artifacts.
type RemoveArgs struct {
	Repository string   `cbor:"0,keyasint,omitempty" json:"repository,omitempty" help:"<NAME> of the repository (default: default)"`
	Paths      []string `cbor:"1,keyasint" json:"paths" arg:"ARTIFACT..." help:"paths of artifacts"`
	Stage      bool     `cbor:"2,keyasint,omitempty" json:"stage,omitempty" help:"wait for publish"`
	Agent      string   `cbor:"3,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for the online key"`
}

// RenewArgs has nothing but an agent.
type RenewArgs struct {
	Agent string `cbor:"0,keyasint,omitempty" json:"agent,omitempty" help:"socket of the ssh-agent to ask first for online keys"`
}

// Result is what became of a request.
type Result struct {
	Task     string   `cbor:"0,keyasint" json:"task" help:"id of the request"`
	Role     string   `cbor:"1,keyasint,omitempty" json:"role,omitempty" help:"of the document"`
	Version  int64    `cbor:"2,keyasint,omitempty" json:"version,omitempty" help:"of the document"`
	Complete bool     `cbor:"3,keyasint" json:"complete" help:"nothing is missing: it is published"`
	Digest   string   `cbor:"4,keyasint,omitempty" json:"digest,omitempty" help:"SHA-256 of what is to be signed now"`
	Done     []string `cbor:"5,keyasint,omitempty" json:"done,omitempty" help:"artifacts or roles"`
	Refused  []string `cbor:"6,keyasint,omitempty" json:"refused,omitempty" help:"artifacts or roles that it could not be done for"`
}

// RepositoriesResult lists repositories.
type RepositoriesResult struct {
	Repositories []string `cbor:"0,keyasint" json:"repositories" help:"sorted"`
}

// StatusResult tells where a repository stands.
type StatusResult struct {
	Repository string         `cbor:"0,keyasint" json:"repository" help:"name"`
	State      string         `cbor:"1,keyasint" json:"state" help:"None, signing or finished"`
	Roles      []RoleStatus   `cbor:"2,keyasint,omitempty" json:"roles,omitempty" help:"what is published; all bins as one"`
	Pending    []PendingRole  `cbor:"3,keyasint,omitempty" json:"pending,omitempty" help:"what waits for signatures"`
	Staged     int            `cbor:"4,keyasint,omitempty" json:"staged,omitempty" help:"changes of artifacts that wait for publish"`
	Folder     string         `cbor:"5,keyasint" json:"folder" help:"what clients fetch lies below it"`
	Expiration map[string]int `cbor:"6,keyasint,omitempty" json:"expiration,omitempty" help:"days by role"`
	Bins       int            `cbor:"7,keyasint,omitempty" json:"bins,omitempty" help:"number of hash bins"`
	Root       []byte         `cbor:"8,keyasint,omitempty" json:"root,omitempty" help:"the newest published root document"`
	Delegated  []Delegation   `cbor:"9,keyasint,omitempty" json:"delegated,omitempty" help:"roles that paths are left to, in the order in which clients ask them"`
}

// RoleStatus is one published role.
type RoleStatus struct {
	Role    string    `cbor:"0,keyasint" json:"role" help:"name"`
	Version int64     `cbor:"1,keyasint" json:"version" help:"number"`
	Expires time.Time `cbor:"2,keyasint" json:"expires" help:"when clients refuse it"`
	People  bool      `cbor:"3,keyasint,omitempty" json:"people,omitempty" help:"signed by people, so it cannot be renewed by itself"`
}

// PendingRole is a document that waits.
type PendingRole struct {
	Role     string     `cbor:"0,keyasint" json:"role" help:"name"`
	Version  int64      `cbor:"1,keyasint" json:"version" help:"number"`
	Digest   string     `cbor:"2,keyasint" json:"digest" help:"SHA-256 of what is to be signed"`
	Since    time.Time  `cbor:"3,keyasint" json:"since" help:"when the process began"`
	Deadline *time.Time `cbor:"4,keyasint,omitempty" json:"deadline,omitempty" help:"when it ends by itself"`
	Signers  []Signer   `cbor:"5,keyasint" json:"signers" help:"whose signatures matter"`
	Needed   int        `cbor:"6,keyasint" json:"needed" help:"threshold of the new version"`
	Before   int        `cbor:"7,keyasint,omitempty" json:"before,omitempty" help:"threshold of the version before, which counts too"`
}

// Signer is somebody whose signature matters for a pending document.
type Signer struct {
	Peer   peer.ID `cbor:"0,keyasint" json:"peer" help:"the key"`
	KeyID  string  `cbor:"1,keyasint" json:"keyid" help:"TUF key id"`
	Signed bool    `cbor:"2,keyasint,omitempty" json:"signed,omitempty" help:"has signed"`
	New    bool    `cbor:"3,keyasint,omitempty" json:"new,omitempty" help:"counts for the new version"`
	Old    bool    `cbor:"4,keyasint,omitempty" json:"old,omitempty" help:"counts for the version before"`
	Name   string  `cbor:"5,keyasint,omitempty" json:"name,omitempty" help:"name that the document gives the key"`
}

// ShowResult is a pending document with what is needed to judge it.
type ShowResult struct {
	Pending  PendingRole `cbor:"0,keyasint" json:"pending" help:"who signed, who is missing"`
	Metadata []byte      `cbor:"1,keyasint" json:"metadata" help:"the document with the signatures so far"`
	Previous []byte      `cbor:"2,keyasint,omitempty" json:"previous,omitempty" help:"the published version before"`
	Leaves   *Delegation `cbor:"3,keyasint,omitempty" json:"leaves,omitempty" help:"what publishing it leaves to the role; nothing if that does not change"`
	Left     *Delegation `cbor:"4,keyasint,omitempty" json:"left,omitempty" help:"what is left to the role now"`
}
