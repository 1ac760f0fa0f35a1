package cli

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

type keySignArgs struct {
	File      string `arg:"FILE"`
	Namespace string `json:"namespace" short:"n" help:"what the signature is for; verifiers must give the same <NAME>"`
}

// signatureResult is an armoured SSHSIG signature.
type signatureResult struct {
	Peer      peer.ID `json:"peer" cbor:"0,keyasint"`
	Signature string  `json:"signature" cbor:"1,keyasint"`
}

// reservedNamespace is the prefix of the namespaces under which the suite signs its own objects.
const reservedNamespace = "lnk-"

func keySign(a *app) *cobra.Command {
	return verb[keySignArgs, signatureResult]{
		name:  "sign",
		short: "sign a file with the profile's key",
		long: `Sign makes an SSHSIG signature over FILE (- for standard input) through your ssh-agent and prints it; "ssh-keygen -Y verify"
accepts it, and so does lnk key verify. Namespaces that begin with lnk- are the suite's own and refused.`,
		example:  "  lnk key sign release.tar > release.tar.sig",
		cannot:   "sign",
		exits:    []int{exitNotFound, exitNoKey, exitInterrupted},
		defaults: keySignArgs{Namespace: "file"},
		run:      a.sign,
		text: func(w io.Writer, r signatureResult) error {
			_, err := io.WriteString(w, r.Signature)
			return err
		},
	}.command(a)
}

func (a *app) sign(ctx context.Context, args keySignArgs) (signatureResult, error) {
	if strings.HasPrefix(args.Namespace, reservedNamespace) || args.Namespace == "" {
		return signatureResult{}, ipc.Errorf(ipc.BadRequest, "the namespace %q is not for signatures over files", args.Namespace).WithHint("leave out --namespace")
	}
	message, err := a.openInput(args.File)
	if err != nil {
		return signatureResult{}, err
	}
	defer message.Close()
	signer, err := a.signer(ctx, "", "lnk key sign")
	if err != nil {
		return signatureResult{}, err
	}
	armored, err := keys.SignSSHSIGReader(ctx, signer, args.Namespace, message)
	if err != nil {
		return signatureResult{}, err
	}
	id, err := peer.FromPublicKey(signer.PublicKey())
	return signatureResult{id, string(armored)}, err
}

type keyVerifyArgs struct {
	File      string `arg:"FILE"`
	Signature string `arg:"SIGNATURE"`
	Signer    string `json:"signer" help:"the key that must have signed, in any notation (default: the profile's)"`
	Namespace string `json:"namespace" short:"n" help:"what the signature is for: the signer's <NAME>"`
}

func keyVerify(a *app) *cobra.Command {
	return verb[keyVerifyArgs, peerResult]{
		name:  "verify",
		short: "verify a signature over a file",
		long: `Verify checks that the SSHSIG signature in the file SIGNATURE was made over FILE (- for standard input) by the key --signer
and for the same namespace, by ZIP-215 rules. It prints the peer id of the signer, and fails otherwise. It needs no agent.`,
		cannot:   "verify the signature",
		exits:    []int{exitNotFound},
		defaults: keyVerifyArgs{Namespace: "file"},
		run: func(_ context.Context, args keyVerifyArgs) (peerResult, error) {
			id, err := a.peerOf(args.Signer)
			if err != nil {
				return peerResult{}, err
			}
			message, err := a.openInput(args.File)
			if err != nil {
				return peerResult{}, err
			}
			defer message.Close()
			signature, err := os.ReadFile(args.Signature)
			if err != nil {
				return peerResult{}, err
			}
			return peerResult{Peer: id}, keys.VerifySSHSIGReader(id.PublicKey(), args.Namespace, message, signature)
		},
		text: printPeer,
	}.command(a)
}

// openInput opens a file, - for standard input.
func (a *app) openInput(file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(a.Stdin), nil
	}
	return os.Open(file)
}
