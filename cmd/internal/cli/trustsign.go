package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

type trustSignArgs struct {
	trustRoleArgs
	Yes bool   `json:"yes" help:"do not ask"`
	In  string `json:"in" help:"sign what lnk trust export has written to <FILE>, - for standard input; no daemon is needed"`
	Out string `json:"out" help:"with --in, write the signatures to <FILE> instead of standard output"`
}

func trustSign(a *app) *cobra.Command {
	return action[trustSignArgs]{
		name: "sign", short: "sign what waits for signatures, after looking at it",
		long: `Sign shows what the pending version of ROLE (root if not given) changes, asks, and then signs exactly that with every key that is
missing and that your agent holds. If it was replaced while you looked, nothing is added. The last signature that was missing
publishes it.`,
		example: "  lnk trust sign\n  lnk trust sign --in pending.json --out signed.json   # on a machine without a network",
		cannot:  "sign", exits: append([]int{exitInterrupted}, trustExits...), defaults: trustSignArgs{trustRoleArgs: trustRoleArgs{repositoryArgs: usualRepository}},
		run: a.trustSign,
	}.command(a)
}

func (a *app) trustSign(ctx context.Context, args trustSignArgs) error {
	if args.In != "" {
		return a.trustSignOffline(ctx, args)
	}
	shown, err := a.trustShown(ctx, args.trustRoleArgs)
	if err != nil {
		return err
	}
	signatures, err := a.signShown(ctx, shown, args.Yes)
	if err != nil {
		return err
	}
	result, err := a.bring(ctx, args.Repository, shown.Pending.Role, shown.Pending.Digest, signatures)
	if err != nil {
		return err
	}
	return printResult(a, result, printTrustResult)
}

func (a *app) trustSignOffline(ctx context.Context, args trustSignArgs) error {
	file, err := a.readOffline(args.In)
	if err != nil {
		return err
	}
	shown, err := readShown("", file.shown())
	if err != nil {
		return err
	}
	signatures, err := a.signShown(ctx, shown, args.Yes)
	if err != nil {
		return err
	}
	return a.writeJSON(args.Out, signatureFile{Role: shown.Pending.Role, Digest: shown.Pending.Digest, Signatures: signatures})
}

// writeJSON writes a file for another machine, or to standard output if it has no name.
func (a *app) writeJSON(path string, content any) error {
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if path == "" {
		return a.write(data)
	}
	return profile.WriteFile(path, data, 0o644)
}

// fileSignature is a signature as files and TUF documents have it.
type fileSignature struct {
	KeyID string  `json:"keyid"`
	Sig   hexText `json:"sig"`
}

// hexText is bytes in hexadecimal.
type hexText []byte

// MarshalText implements encoding.TextMarshaler.
func (h hexText) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexText) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// signShown shows the document, asks, and signs it with every key that is missing and that the caller's agent holds: the
// canonical form of what was parsed and shown, never bytes that came from elsewhere.
func (a *app) signShown(ctx context.Context, shown trustShown, yes bool) ([]fileSignature, error) {
	own := ownAgent(a.signingAgents(ctx, shown.Pending))
	if own == nil {
		return nil, ipc.Errorf(ipc.NoKey, "your agent holds no key whose signature is missing").WithHint(shown.why.line("show") + " lists them; add yours with lnk key add")
	}
	printDocument(a.Stderr, shown)
	if !yes {
		if err := a.confirm(ctx, fmt.Sprintf("sign %s version %d as %s?", shown.Pending.Role, shown.Pending.Version, namesOf(own.Signers))); err != nil {
			return nil, err
		}
	}
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	audit := &keys.AuditLog{Path: dirs.AuditLog()}
	var signatures []fileSignature
	for _, s := range own.Signers {
		sig, err := audit.Audited(own.agent.Signer(s.Peer), shown.why.kind, shown.why.command+" sign").Sign(ctx, shown.document.Payload())
		if err != nil {
			return nil, err
		}
		signatures = append(signatures, fileSignature{s.KeyID, sig})
	}
	return signatures, nil
}

func namesOf(signers []trust.Signer) string {
	names := make([]string, len(signers))
	for i, s := range signers {
		names[i] = called(s)
	}
	return strings.Join(names, ", ")
}

func ownAgent(list []signingAgent) *signingAgent {
	for i := range list {
		if list[i].Own {
			return &list[i]
		}
	}
	return nil
}

// bring hands in signatures over what has the digest match, until it is published.
func (a *app) bring(ctx context.Context, repository, role, match string, signatures []fileSignature) (result trust.Result, err error) {
	for _, s := range signatures {
		result, err = askTrust(ctx, a, trust.AddTo, trust.SignArgs{Repository: repository, Role: role, KeyID: s.KeyID, Signature: s.Sig, Match: match, Agent: a.agentPath()})
		if err != nil || result.Complete {
			break
		}
	}
	return result, err
}

// confirm asks a person at the terminal.
func (a *app) confirm(ctx context.Context, question string) error {
	agreed, err := a.passphrases("").Agree(ctx, question)
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		return ipc.Errorf(ipc.BadRequest, "there is no terminal to ask at").WithHint("--yes answers beforehand")
	case !agreed:
		return ipc.Errorf(ipc.Cancelled, "you said no")
	}
	return nil
}
