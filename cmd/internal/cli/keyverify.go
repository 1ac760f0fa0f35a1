package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

type keyVerifyArgs struct {
	File      string `arg:"FILE"`
	Signature string `arg:"[SIGNATURE]"`
	Signer    string `json:"signer" help:"the <KEY> that must have signed, in any notation (default: the profile's)"`
	Namespace string `json:"namespace" short:"n" help:"what the signature is for: the signer's <NAME>"`
	Allowed   string `json:"allowed_signers" short:"f" help:"any key in the allowed-signers <FILE> may have signed"`
	Principal string `json:"principal" short:"I" help:"with --allowed-signers: as this <NAME>"`
}

// verifiedResult says who signed.
type verifiedResult struct {
	Peer        peer.ID `json:"peer,omitempty" cbor:"0,keyasint,omitempty"` // empty unless it is plain Ed25519
	Fingerprint string  `json:"fingerprint" cbor:"1,keyasint"`
	Principal   string  `json:"principal,omitempty" cbor:"2,keyasint,omitempty"`
}

func keyVerify(a *app) *cobra.Command {
	return verb[keyVerifyArgs, verifiedResult]{
		name:  "verify",
		short: "verify a signature over a file",
		long: `Verify checks that the SSHSIG signature in the file SIGNATURE, by default FILE.sig, was made over FILE (- for standard input, of
any length) for the same namespace, and by whom: the key --signer, or one of those in an allowed-signers file (ssh-keygen(1))
that may sign for the namespace at this time. It prints who signed, the principal first if there is one, and fails otherwise.
Ed25519 signatures are checked by ZIP-215 rules. It needs no agent.`,
		example:  "  lnk key verify release.tar\n  lnk key verify -n git -f ~/.ssh/allowed_signers - commit.sig < commit",
		cannot:   "verify the signature",
		exits:    []int{exitNotFound, exitNotPermitted},
		defaults: keyVerifyArgs{Namespace: "file"},
		run:      a.verify,
		text: func(w io.Writer, r verifiedResult) error {
			who := string(r.Peer)
			if who == "" {
				who = r.Fingerprint
			}
			if r.Principal != "" {
				who = r.Principal + " " + who
			}
			_, err := fmt.Fprintln(w, who)
			return err
		},
	}.command(a)
}

func (a *app) verify(_ context.Context, args keyVerifyArgs) (verifiedResult, error) {
	signature, err := readSignature(args)
	if err != nil {
		return verifiedResult{}, err
	}
	result := verifiedResult{Peer: signature.Peer, Fingerprint: signature.Fingerprint()}
	if result.Principal, err = a.permit(signature, args); err != nil {
		return verifiedResult{}, err
	}
	message, err := a.openInput(args.File)
	if err != nil {
		return verifiedResult{}, err
	}
	defer message.Close()
	return result, signature.Verify(args.Namespace, message)
}

func readSignature(args keyVerifyArgs) (*keys.SSHSIG, error) {
	if args.Signature == "" && args.File == "-" {
		return nil, ipc.Errorf(ipc.BadRequest, "a signature over standard input has no file name of its own").WithHint("name the file: lnk key verify - SIGNATURE")
	}
	if args.Signature == "" {
		args.Signature = args.File + signatureSuffix
	}
	f, err := os.Open(args.Signature)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return keys.ReadSSHSIG(f)
}

// permit decides whether the key that a signature names may have made it, and as whom.
func (a *app) permit(signature *keys.SSHSIG, args keyVerifyArgs) (principal string, err error) {
	switch {
	case args.Allowed == "" && args.Principal != "":
		return "", ipc.Errorf(ipc.BadRequest, "--principal goes with --allowed-signers, which says whose key is whose")
	case args.Allowed != "" && args.Signer != "":
		return "", ipc.Errorf(ipc.BadRequest, "--signer and --allowed-signers exclude each other")
	case args.Allowed == "":
		id, err := a.peerOf(args.Signer)
		if err == nil && id != signature.Peer {
			err = fmt.Errorf("%w: it is by %s, not by %s", keys.ErrSignature, signature.Fingerprint(), id)
		}
		return "", err
	}
	allowed, err := readAllowed(args.Allowed)
	if err != nil {
		return "", err
	}
	return allowed.Find(signature, args.Principal, time.Now())
}

func readAllowed(path string) (keys.AllowedSigners, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return keys.ReadAllowedSigners(f)
}

type keyAllowArgs struct {
	File       string   `arg:"FILE"`
	Principal  string   `arg:"PRINCIPAL"`
	Peer       string   `arg:"[PEER]"`
	Namespaces []string `json:"namespace" short:"n" help:"allow signatures for this <NAME> only; may be repeated"`
	Comment    string   `json:"comment" help:"<TEXT> for the end of the line"`
}

// allowedResult is a line of an allowed-signers file.
type allowedResult struct {
	Line string `json:"line" cbor:"0,keyasint"`
}

func keyAllow(a *app) *cobra.Command {
	return verb[keyAllowArgs, allowedResult]{
		name:  "allow",
		short: "add a key to an allowed-signers file",
		long: `Allow appends a line to the allowed-signers FILE, which is made if it is missing, and prints it: the key PEER, by default that
of the profile in use, may sign as PRINCIPAL, a name or several with commas between. lnk key verify, ssh-keygen and git (gpg.ssh.allowedSignersFile) read it. A file
that they could not read is left as it is. Of several at once each adds its line.`,
		example: "  lnk key allow ~/.ssh/allowed_signers me@example.org -n git -n file",
		cannot:  "allow the key",
		exits:   []int{exitNotFound, exitNotPermitted},
		run: func(ctx context.Context, args keyAllowArgs) (allowedResult, error) {
			id, err := a.peerOf(args.Peer)
			if err != nil {
				return allowedResult{}, err
			}
			signer := keys.NewAllowedSigner(id, args.Comment, strings.Split(args.Principal, ",")...)
			signer.Namespaces = args.Namespaces
			if err := signer.Check(); err != nil {
				return allowedResult{}, err
			}
			line := signer.String()
			return allowedResult{line}, appendAllowed(ctx, args.File, line)
		},
		text: func(w io.Writer, r allowedResult) error {
			_, err := fmt.Fprintln(w, r.Line)
			return err
		},
	}.command(a)
}

// appendAllowed adds a line, if the file is readable before and after. It keeps its mode, and a link to it stays one. The folder
// is locked meanwhile, as the file itself is replaced.
func appendAllowed(ctx context.Context, path, line string) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := profile.Lock(ctx, folder); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, line+"\n"...)
	if _, err := keys.ReadAllowedSigners(bytes.NewReader(text)); err != nil {
		return err
	}
	return profile.WriteFile(path, text, mode)
}
