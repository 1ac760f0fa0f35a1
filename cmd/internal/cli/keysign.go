package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

type keySignArgs struct {
	File      string `arg:"[FILE]"`
	Namespace string `json:"namespace" short:"n" help:"what the signature is for; verifiers must give the same <NAME>"`
	Key       string `json:"key" help:"sign with this other <KEY> in the agent: a fingerprint, an OpenSSH line or a .pub file"`
	Force     bool   `json:"force" help:"replace a signature that is there"`
}

// signatureResult is an armoured SSHSIG signature.
type signatureResult struct {
	Peer        peer.ID `json:"peer,omitempty" cbor:"0,keyasint,omitempty"` // empty unless it is plain Ed25519
	Signature   string  `json:"signature" cbor:"1,keyasint"`
	Fingerprint string  `json:"fingerprint" cbor:"2,keyasint"`
	File        string  `json:"file,omitempty" cbor:"3,keyasint,omitempty"` // where the signature is; empty: nowhere
}

// reservedNamespace is the prefix of the namespaces under which the suite signs its own objects.
const reservedNamespace = "lnk-"

// signatureSuffix makes a signature's file name of a file's, as ssh-keygen does.
const signatureSuffix = ".sig"

func keySign(a *app) *cobra.Command {
	return verb[keySignArgs, signatureResult]{
		name:  "sign",
		short: "sign a file with the profile's key",
		long: `Sign makes an SSHSIG signature over FILE through your ssh-agent, writes it to FILE.sig and prints that name; without FILE, or
for -, it signs standard input and prints the signature. The input may be of any length. "ssh-keygen -Y verify" accepts the
signature, and so does lnk key verify. Namespaces that begin with lnk- are the suite's own and refused.

With --key any other key in the agent signs, be it an RSA key or a security key (which then waits for your touch).`,
		example:  "  lnk key sign release.tar\n  git archive HEAD | lnk key sign -n release > release.sig",
		cannot:   "sign",
		exits:    []int{exitNotFound, exitConflict, exitNoKey, exitNotPermitted, exitInterrupted},
		defaults: keySignArgs{File: "-", Namespace: "file"},
		run:      a.sign,
		text: func(w io.Writer, r signatureResult) error {
			if r.File != "" {
				_, err := fmt.Fprintln(w, r.File)
				return err
			}
			_, err := io.WriteString(w, r.Signature)
			return err
		},
	}.command(a)
}

func (a *app) sign(ctx context.Context, args keySignArgs) (r signatureResult, err error) {
	if strings.HasPrefix(args.Namespace, reservedNamespace) || args.Namespace == "" {
		return r, ipc.Errorf(ipc.BadRequest, "the namespace %q is not for signatures over files", args.Namespace).WithHint("leave out --namespace")
	}
	message, err := a.openInput(args.File)
	if err != nil {
		return r, err
	}
	defer message.Close()
	if args.File != "-" {
		r.File = args.File + signatureSuffix
	}
	if _, err := os.Lstat(r.File); err == nil && !args.Force {
		return r, ipc.Errorf(ipc.AlreadyExists, "%s exists already", r.File).WithHint("--force replaces it")
	}
	key, err := a.signingKey(ctx, args.Key)
	if err != nil {
		return r, err
	}
	armored, err := key.SignSSHSIG(ctx, args.Namespace, message)
	if err != nil {
		return r, err
	}
	r.Peer, r.Signature, r.Fingerprint = key.Peer(), string(armored), key.Fingerprint()
	if r.File == "" {
		return r, nil
	}
	return r, profile.WriteFile(r.File, armored, 0o644)
}

// signingKey finds the profile's key in the agent, or another one. Each signature is logged.
func (a *app) signingKey(ctx context.Context, name string) (*keys.HeldKey, error) {
	find := a.current
	if name != "" { // another key needs no profile
		find = a.currentOrNone
	}
	dirs, p, err := find()
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = string(p.Peer)
	} else if line, err := readPublicKey(name); err == nil {
		name = line
	}
	agent, err := a.agent(ctx, p)
	if err != nil {
		return nil, err
	}
	key, err := agent.Key(ctx, name)
	if err != nil {
		return nil, err
	}
	return key.Audited(&keys.AuditLog{Path: dirs.AuditLog()}, "lnk key sign"), nil
}
