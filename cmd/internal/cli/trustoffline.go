package cli

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

// pendingFile is what a signer without a network gets: the document, what it follows, and whose signatures are missing.
type pendingFile struct {
	Pending  trust.PendingRole `json:"pending"`
	Metadata json.RawMessage   `json:"metadata"`
	Previous json.RawMessage   `json:"previous,omitempty"`
	Leaves   *trust.Delegation `json:"leaves,omitempty"`
	Left     *trust.Delegation `json:"left,omitempty"`
}

func (f pendingFile) shown() trust.ShowResult {
	return trust.ShowResult{Pending: f.Pending, Metadata: f.Metadata, Previous: f.Previous, Leaves: f.Leaves, Left: f.Left}
}

// signatureFile is what they give back.
type signatureFile struct {
	Role       string          `json:"role,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Signatures []fileSignature `json:"signatures"`
}

type trustExportArgs struct {
	trustRoleArgs
	Out     string `json:"out" help:"write to <FILE> instead of standard output"`
	Payload bool   `json:"payload" help:"write only the bytes to sign, for other programs that make Ed25519 signatures"`
}

func trustExport(a *app) *cobra.Command {
	return action[trustExportArgs]{
		name: "export", short: "write what waits for signatures to a file, for a signer without a network",
		long: `Export writes the pending version of ROLE (root if not given) to a file. On the machine that holds the key, lnk trust sign --in FILE
shows it, asks and signs it; the signature comes back with lnk trust import. Neither step there needs a daemon or a network.`,
		example: "  lnk trust export --out pending.json\n  lnk trust sign --in pending.json --out signed.json   # elsewhere\n  lnk trust import signed.json",
		cannot:  "export", exits: trustExits, defaults: trustExportArgs{trustRoleArgs: trustRoleArgs{repositoryArgs: usualRepository}},
		run: func(ctx context.Context, args trustExportArgs) error {
			shown, err := askTrust(ctx, a, trust.Show, trust.RoleArgs{Repository: args.Repository, Role: args.Role})
			if err != nil {
				return err
			}
			data, err := exported(shown, args.Payload)
			if err != nil {
				return err
			}
			if args.Out == "" {
				return a.write(data)
			}
			return profile.WriteFile(args.Out, data, 0o644)
		},
	}.command(a)
}

func exported(shown trust.ShowResult, payload bool) ([]byte, error) {
	if payload {
		parsed, err := readShown("", shown)
		if err != nil {
			return nil, err
		}
		return parsed.document.Payload(), nil
	}
	data, err := json.Marshal(pendingFile{shown.Pending, shown.Metadata, shown.Previous, shown.Leaves, shown.Left})
	return append(data, '\n'), err
}

func (a *app) readOffline(path string) (pendingFile, error) {
	var file pendingFile
	err := a.readJSON(path, &file)
	if err == nil && (len(file.Metadata) == 0 || file.Pending.Role == "") {
		err = ipc.Errorf(ipc.BadRequest, "%s is not what lnk trust export writes", path)
	}
	return file, err
}

// maxOffline bounds files of others in bytes: two documents of the largest size.
const maxOffline = 3 * trust.MaxFile

func (a *app) readJSON(path string, into any) error {
	in, err := a.openInput(path)
	if err != nil {
		return err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxOffline+1))
	if err != nil {
		return err
	}
	if len(data) > maxOffline {
		return ipc.Errorf(ipc.TooLarge, "%s has more than %d bytes", path, maxOffline)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return ipc.Errorf(ipc.BadRequest, "cannot read %s: %w", path, err)
	}
	return nil
}

type trustImportArgs struct {
	repositoryArgs
	Role string `json:"role" help:"the <ROLE> that was signed, if the file does not say (default: root)"`
	File string `arg:"[FILE]"`
}

func trustImport(a *app) *cobra.Command {
	return verb[trustImportArgs, trust.Result]{
		name: "import", short: "add signatures from a file",
		long: `Import adds signatures that were made elsewhere to what is pending: what lnk trust sign --out has written, every signature of a signed
document, or the one of an object with the members keyid and sig, both in hexadecimal. Without FILE it reads standard input. If
something else is pending by now than what was signed, nothing is added.`,
		cannot: "import", exits: trustExits, defaults: trustImportArgs{repositoryArgs: usualRepository, File: "-"},
		run: a.trustImport, text: printTrustResult,
	}.command(a)
}

func (a *app) trustImport(ctx context.Context, args trustImportArgs) (trust.Result, error) {
	var file struct {
		signatureFile
		fileSignature
	}
	if err := a.readJSON(args.File, &file); err != nil {
		return trust.Result{}, err
	}
	if file.KeyID != "" {
		file.Signatures = append(file.Signatures, file.fileSignature)
	}
	if len(file.Signatures) == 0 {
		return trust.Result{}, ipc.Errorf(ipc.BadRequest, "%s holds no signature", args.File)
	}
	role := args.Role
	if role == "" {
		role = file.Role
	}
	return a.bring(ctx, args.Repository, role, file.Digest, file.Signatures)
}
