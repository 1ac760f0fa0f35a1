package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

func keyCommand(a *app) *cobra.Command {
	return noun("key", "make, load and use device keys",
		`Device keys are Ed25519 keys in encrypted OpenSSH files. Signatures are made by your ssh-agent, which holds the key for a
limited time; lnk itself sees a private key only while it makes one or loads it.`,
		keyGenerate(a), keyAdd(a), keyRemove(a), keyList(a), keyShow(a), keySign(a), keyVerify(a), keyLog(a))
}

// loadFlags say how a key goes into the agent.
type loadFlags struct {
	Lifetime       time.Duration `json:"lifetime" help:"the agent forgets the key after this <TIME>; 0s means never"`
	Confirm        bool          `json:"confirm" help:"the agent asks before each signature"`
	PassphraseFile string        `json:"passphrase_file" help:"read the passphrase from the first line of <FILE>"`
}

func (f loadFlags) options() keys.AddOptions {
	return keys.AddOptions{Lifetime: f.Lifetime, Forever: f.Lifetime == 0, Confirm: f.Confirm}
}

// peerResult is the result of commands that end up with one key.
type peerResult struct {
	Peer peer.ID `json:"peer" cbor:"0,keyasint"`
	File string  `json:"file,omitempty" cbor:"1,keyasint,omitempty"`
}

func printPeer(w io.Writer, r peerResult) error {
	_, err := fmt.Fprintln(w, r.Peer)
	return err
}

type keyGenerateArgs struct {
	File           string `arg:"FILE"`
	Comment        string `json:"comment" help:"text for the public key file"`
	PassphraseFile string `json:"passphrase_file" help:"read the passphrase from the first line of <FILE>"`
}

func keyGenerate(a *app) *cobra.Command {
	return verb[keyGenerateArgs, peerResult]{
		name:  "generate",
		short: "make a key in an encrypted file",
		long: `Generate makes an Ed25519 key, stores it encrypted in FILE and its public half in FILE.pub, and prints the peer id. Both files
appear or none; an existing one is never replaced. A profile with a key of its own is made by lnk profile create.`,
		cannot:   "make the key",
		exits:    []int{exitConflict, exitNoKey, exitInterrupted},
		defaults: keyGenerateArgs{Comment: "lnk"},
		run: func(ctx context.Context, args keyGenerateArgs) (peerResult, error) {
			passphrase, err := a.passphrases(args.PassphraseFile).New(ctx, "the key "+args.File)
			if err != nil {
				return peerResult{}, err
			}
			id, err := keys.Generate(args.File, args.Comment, passphrase)
			return peerResult{id, args.File}, err
		},
		text: printPeer,
	}.command(a)
}

type keyAddArgs struct {
	File string `arg:"[FILE]"`
	loadFlags
}

func keyAdd(a *app) *cobra.Command {
	return verb[keyAddArgs, peerResult]{
		name:  "add",
		short: "load a key into the agent",
		long: `Add opens the key in FILE, by default that of the profile in use, gives it to your ssh-agent and prints its peer id. The agent
forgets it after --lifetime.`,
		cannot:   "load the key",
		exits:    []int{exitNotFound, exitNoKey, exitInterrupted},
		defaults: keyAddArgs{loadFlags: loadFlags{Lifetime: keys.DefaultLifetime}},
		run: func(ctx context.Context, args keyAddArgs) (peerResult, error) {
			_, p, err := a.current()
			if err != nil && args.File == "" {
				return peerResult{}, err
			}
			if args.File != "" {
				p.Key = args.File
			}
			if p.Key == "" {
				return peerResult{}, ipc.Errorf(ipc.NotFound, "profile %s has no key file", p.Name).WithHint("lnk key add FILE")
			}
			id, err := a.loadKey(ctx, p, args.loadFlags)
			return peerResult{id, p.Key}, err
		},
		text: printPeer,
	}.command(a)
}

// loadKey gives the key file of a profile to the agent.
func (a *app) loadKey(ctx context.Context, p profile.Profile, how loadFlags) (peer.ID, error) {
	agent, err := a.agent(ctx, p)
	if err != nil {
		return "", err
	}
	ask := func(ctx context.Context) ([]byte, error) {
		return a.passphrases(how.PassphraseFile).Existing(ctx, p.Key)
	}
	return agent.Add(ctx, p.Key, ask, how.options())
}

// passphrases says where passphrases come from: the first line of a file, else the terminal or SSH_ASKPASS.
func (a *app) passphrases(file string) keys.Passphrases {
	return keys.Passphrases{File: file, Getenv: a.Getenv}
}

// peerArg names a key: in any notation, or by the profile in use.
type peerArg struct {
	Peer string `arg:"[PEER]"`
}

// peerOf reads a PEER argument.
func (a *app) peerOf(text string) (peer.ID, error) {
	if text == "" {
		_, p, err := a.current()
		return p.Peer, err
	}
	id, err := peer.Parse(text)
	if err != nil {
		return "", ipc.Errorf(ipc.BadRequest, "%w", err).WithHint("a peer id looks like z6Mk…; did:key:… and an ssh-ed25519 line are understood too")
	}
	return id, nil
}

func keyRemove(a *app) *cobra.Command {
	return verb[peerArg, peerResult]{
		name:   "rm",
		short:  "make the agent forget a key",
		long:   "Rm makes your ssh-agent forget the key PEER, by default that of the profile in use. The key file stays.",
		cannot: "remove the key from the agent",
		exits:  []int{exitNotFound, exitNoKey},
		run: func(ctx context.Context, args peerArg) (peerResult, error) {
			id, err := a.peerOf(args.Peer)
			if err != nil {
				return peerResult{}, err
			}
			agent, err := a.agentOfCurrent(ctx)
			if err != nil {
				return peerResult{}, err
			}
			return peerResult{Peer: id}, agent.Remove(ctx, id)
		},
		text: printPeer,
	}.command(a)
}

// heldKey is a key in the agent.
type heldKey struct {
	Peer        peer.ID `json:"peer,omitempty" cbor:"0,keyasint,omitempty"` // empty unless it is plain Ed25519
	Type        string  `json:"type" cbor:"1,keyasint"`
	Fingerprint string  `json:"fingerprint" cbor:"2,keyasint"`
	Comment     string  `json:"comment" cbor:"3,keyasint"`
}

func keyList(a *app) *cobra.Command {
	return verb[none, []heldKey]{
		name:   "list",
		short:  "list the keys in the agent",
		long:   "List prints the keys that your ssh-agent holds. A locked agent shows none.",
		cannot: "list the keys",
		exits:  []int{exitNoKey},
		run: func(ctx context.Context, _ none) ([]heldKey, error) {
			agent, err := a.agentOfCurrent(ctx)
			if err != nil {
				return nil, err
			}
			held, err := agent.List(ctx)
			list := make([]heldKey, 0, len(held))
			for _, k := range held {
				list = append(list, heldKey(k))
			}
			return list, err
		},
		text: func(w io.Writer, list []heldKey) error {
			return table(w, "PEER\tTYPE\tFINGERPRINT\tCOMMENT", func(row func(...any)) {
				for _, k := range list {
					row(orDash(string(k.Peer)), k.Type, k.Fingerprint, k.Comment)
				}
			})
		},
	}.command(a)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// keyNotations is one public key in every notation.
type keyNotations struct {
	Peer        peer.ID `json:"peer" cbor:"0,keyasint"`
	DID         string  `json:"did" cbor:"1,keyasint"`
	SSH         string  `json:"ssh" cbor:"2,keyasint"`
	Fingerprint string  `json:"fingerprint" cbor:"3,keyasint"`
	Link        string  `json:"link" cbor:"4,keyasint"`
}

func keyShow(a *app) *cobra.Command {
	return verb[peerArg, keyNotations]{
		name:  "show",
		short: "show a public key in every notation",
		long: `Show prints the key PEER, by default that of the profile in use, as peer id, did:key, OpenSSH line and fingerprint, and in
radicle-link's old form. Each of them is understood as PEER, too. It needs neither the agent nor the passphrase.`,
		cannot: "show the key",
		exits:  []int{exitNotFound},
		run: func(_ context.Context, args peerArg) (keyNotations, error) {
			id, err := a.peerOf(args.Peer)
			if err != nil {
				return keyNotations{}, err
			}
			return keyNotations{id, id.DID(), id.SSHKey(), id.Fingerprint(), id.Link()}, nil
		},
		text: func(w io.Writer, k keyNotations) error {
			return table(w, "peer\t"+string(k.Peer), func(row func(...any)) {
				row("did", k.DID)
				row("ssh", k.SSH)
				row("fingerprint", k.Fingerprint)
				row("link", k.Link)
			})
		},
	}.command(a)
}

func keyLog(a *app) *cobra.Command {
	return action[none]{
		name:  "log",
		short: "print the log of signatures",
		long: `Log prints a line per signature that the suite asked an agent for, the oldest first: when, with which key, what for, the
message's digest, and for whom. The log is only ever appended to.`,
		cannot: "read the log of signatures",
		run: func(context.Context, none) error {
			dirs, err := a.dirs()
			if err != nil {
				return err
			}
			for record, err := range (&keys.AuditLog{Path: dirs.AuditLog()}).Records() {
				if err != nil {
					return err
				}
				if err := printResult(a, record, printRecord); err != nil {
					return err
				}
			}
			return nil
		},
	}.command(a)
}

func printRecord(w io.Writer, r keys.AuditRecord) error {
	_, err := fmt.Fprintln(w, r.Time.Format(time.RFC3339), r.Key, r.Kind, r.Digest, r.Caller)
	return err
}
