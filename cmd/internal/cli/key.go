package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

func keyCommand(a *app) *cobra.Command {
	return noun("key", "make, load and use device keys",
		`Device keys are Ed25519 keys in encrypted OpenSSH files. Signatures are made by your ssh-agent, which holds the key for a
limited time; lnk itself sees a private key only while it makes one or loads it.`,
		keyGenerate(a), keyAdd(a), keyRemove(a), keyList(a), keyReady(a), keyLock(a), keyUnlock(a), keyShow(a),
		keySign(a), keyVerify(a), keyAllow(a), keyLog(a))
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
	if err == nil {
		return id, nil
	}
	for _, file := range []string{text, text + ".pub"} { // of a key file, what lnk key generate and ssh-keygen put beside it
		if line, readErr := readPublicKey(file); readErr == nil {
			if id, err = peer.Parse(line); err == nil {
				return id, nil
			}
			err = fmt.Errorf("%s holds no Ed25519 public key", file)
		}
	}
	return "", ipc.Errorf(ipc.BadRequest, "%w", err).
		WithHint("a peer id looks like z6Mk…; did:key:…, an ssh-ed25519 line and the name of a key file are understood too")
}

// readPublicKey reads the line of a public key file.
func readPublicKey(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := keys.ReadKey(f)
	return strings.TrimSpace(string(line)), err
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
			return printEach(a, (&keys.AuditLog{Path: dirs.AuditLog()}).Records(), printRecord)
		},
	}.command(a)
}

func printRecord(w io.Writer, r keys.AuditRecord) error {
	_, err := fmt.Fprintln(w, r.Time.Format(time.RFC3339), string(r.Key)+r.Fingerprint, r.Kind, r.Digest, r.Caller)
	return err
}
