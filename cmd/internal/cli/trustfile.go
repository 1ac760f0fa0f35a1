package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

type trustAddArgs struct {
	repositoryArgs
	File  string `arg:"FILE"`
	Path  string `arg:"[ARTIFACT]"`
	Stage bool   `json:"stage" help:"wait for lnk trust publish"`
}

func trustAdd(a *app) *cobra.Command {
	return verb[trustAddArgs, trust.Result]{
		name: "add", short: "add a file for clients to download",
		long:   "Add takes a copy of FILE and publishes it as ARTIFACT, its own name if not given. One that is there already is replaced.",
		cannot: "add the artifact", exits: trustExits, defaults: trustAddArgs{repositoryArgs: usualRepository},
		run: func(ctx context.Context, args trustAddArgs) (trust.Result, error) {
			file, err := filepath.Abs(args.File)
			if err != nil {
				return trust.Result{}, err
			}
			if args.Path == "" {
				args.Path = filepath.Base(file)
			}
			result, err := withTrust(a, func(c *ipc.Client) (trust.Result, error) {
				list := []trust.Artifact{{Path: args.Path, File: file}}
				return trust.Add.Call(ctx, c, trust.AddArgs{Repository: args.Repository, Artifacts: list, Stage: args.Stage, Agent: a.agentPath()})
			})
			if err == nil && len(result.Refused) > 0 {
				err = ipc.Errorf(ipc.BadRequest, "%s is no path that this repository has a role for", args.Path)
			}
			return result, err
		},
		text: printTrustResult,
	}.command(a)
}

type trustRemoveArgs struct {
	repositoryArgs
	Paths []string `arg:"ARTIFACT..."`
	Stage bool     `json:"stage" help:"wait for lnk trust publish"`
}

func trustRemove(a *app) *cobra.Command {
	return verb[trustRemoveArgs, trust.Result]{
		name: "rm", short: "remove artifacts", long: "Rm takes artifacts out of the metadata, so that clients trust them no longer. Their files stay.",
		cannot: "remove the artifacts", exits: trustExits, defaults: trustRemoveArgs{repositoryArgs: usualRepository},
		run: func(ctx context.Context, args trustRemoveArgs) (trust.Result, error) {
			result, err := withTrust(a, func(c *ipc.Client) (trust.Result, error) {
				return trust.Remove.Call(ctx, c, trust.RemoveArgs{Repository: args.Repository, Paths: args.Paths, Stage: args.Stage, Agent: a.agentPath()})
			})
			if err == nil && len(result.Refused) > 0 {
				err = ipc.Errorf(ipc.NotFound, "there is no artifact %s", result.Refused[0])
			}
			return result, err
		},
		text: printTrustResult,
	}.command(a)
}

func trustPublish(a *app) *cobra.Command {
	return verb[repositoryArgs, trust.Result]{
		name: "publish", short: "publish what is staged",
		long:   "Publish publishes artifacts that were only staged, and what is signed by enough people but could not be published then.",
		cannot: "publish", exits: trustExits, defaults: usualRepository,
		run: func(ctx context.Context, args repositoryArgs) (trust.Result, error) {
			return withTrust(a, func(c *ipc.Client) (trust.Result, error) {
				return trust.Publish.Call(ctx, c, trust.RepositoryArgs{Repository: args.Repository, Agent: a.agentPath()})
			})
		},
		text: printTrustResult,
	}.command(a)
}

type trustFileArgs struct {
	trustRoleArgs
	Out string `json:"out" help:"write to <FILE> instead of standard output"`
}

// offline is what a signer without a network gets: the document, and what it follows.
type offline struct {
	Role     string          `json:"role" cbor:"0,keyasint"`
	Digest   string          `json:"digest" cbor:"1,keyasint"`
	Since    time.Time       `json:"since" cbor:"2,keyasint"`
	Metadata json.RawMessage `json:"metadata" cbor:"-"`
	Previous json.RawMessage `json:"previous,omitempty" cbor:"-"`
}

func trustExport(a *app) *cobra.Command {
	return action[trustFileArgs]{
		name: "export", short: "write what waits for signatures to a file, for a signer without a network",
		long:   "Export writes the pending version of ROLE (root if not given) as a JSON document whose member \"metadata\" is the document to sign, and\n\"previous\" the version before. The signature comes back with lnk trust import.",
		cannot: "export", exits: trustExits, defaults: trustFileArgs{trustRoleArgs: trustRoleArgs{repositoryArgs: usualRepository}},
		run: func(ctx context.Context, args trustFileArgs) error {
			shown, err := withTrust(a, func(c *ipc.Client) (trust.ShowResult, error) {
				return trust.Show.Call(ctx, c, trust.RoleArgs{Repository: args.Repository, Role: args.Role})
			})
			if err != nil {
				return err
			}
			data, err := json.Marshal(offline{shown.Pending.Role, shown.Pending.Digest, shown.Pending.Since, shown.Metadata, shown.Previous})
			if err != nil {
				return err
			}
			data = append(data, '\n')
			if args.Out == "" {
				return a.write(data)
			}
			return profile.WriteFile(args.Out, data, 0o644)
		},
	}.command(a)
}

type trustImportArgs struct {
	trustRoleArgs
	Signed string `json:"signed" help:"the signed document, or {\"keyid\", \"sig\"}, in <FILE>; - for standard input"`
}

func trustImport(a *app) *cobra.Command {
	return verb[trustImportArgs, trust.Result]{
		name: "import", short: "add signatures from a file",
		long:   "Import adds signatures that were made elsewhere to the pending version of ROLE (root if not given): every signature of a document, or the\none of an object with the members keyid and sig, both in hexadecimal.",
		cannot: "import", exits: trustExits, defaults: trustImportArgs{trustRoleArgs: trustRoleArgs{repositoryArgs: usualRepository}, Signed: "-"},
		run: a.trustImport, text: printTrustResult,
	}.command(a)
}

func (a *app) trustImport(ctx context.Context, args trustImportArgs) (trust.Result, error) {
	in, err := a.openInput(args.Signed)
	if err != nil {
		return trust.Result{}, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, trust.MaxFile))
	if err != nil {
		return trust.Result{}, err
	}
	type signature struct {
		KeyID string `json:"keyid"`
		Sig   hexText
	}
	var file struct {
		signature
		Signatures []signature `json:"signatures"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return trust.Result{}, ipc.Errorf(ipc.BadRequest, "cannot read %s: %w", args.Signed, err)
	}
	if file.KeyID != "" {
		file.Signatures = append(file.Signatures, file.signature)
	}
	var result trust.Result
	role := args.Role
	for _, s := range file.Signatures {
		result, err = a.bring(ctx, args.Repository, role, s.KeyID, s.Sig)
		if err != nil || result.Complete {
			return result, err
		}
	}
	if len(file.Signatures) == 0 {
		return result, ipc.Errorf(ipc.BadRequest, "%s holds no signature", args.Signed)
	}
	return result, nil
}

// hexText is bytes in hexadecimal.
type hexText []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexText) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%x", (*[]byte)(h))
	return err
}
