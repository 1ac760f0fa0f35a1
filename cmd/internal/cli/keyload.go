package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

// loadFlags say how a key goes into the agent.
type loadFlags struct {
	Lifetime       *time.Duration `json:"lifetime" help:"the agent forgets the key after this <TIME> (default: the profile's, else 8h)"`
	Forever        bool           `json:"forever" help:"the agent keeps the key until it ends"`
	Confirm        bool           `json:"confirm" help:"the agent asks before each signature"`
	PassphraseFile string         `json:"passphrase_file" help:"read the passphrase from the first line of <FILE>; /dev/fd/N is file descriptor N"`
}

// options makes the flags and the profile's setting one.
func (f loadFlags) options(p profile.Profile) (keys.AddOptions, error) {
	o := keys.AddOptions{Forever: f.Forever, Confirm: f.Confirm}
	switch {
	case f.Lifetime == nil && !f.Forever:
		o.Lifetime = p.Lifetime
	case f.Lifetime != nil && *f.Lifetime == 0 && !f.Forever:
		return o, ipc.Errorf(ipc.BadRequest, "a lifetime of 0 would keep the key until the agent ends").WithHint("if that is meant, say --forever")
	case f.Lifetime != nil:
		o.Lifetime = *f.Lifetime
	}
	if err := o.Check(); err != nil {
		return o, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	return o, nil
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
	From           string `json:"from" help:"import the private key in <FILE> (- for standard input) instead of making one"`
	FromPassphrase string `json:"from_passphrase_file" help:"read the passphrase of the imported key from the first line of <FILE>"`
	Comment        string `json:"comment" help:"<TEXT> for the public key file"`
	PassphraseFile string `json:"passphrase_file" help:"read the passphrase from the first line of <FILE>; /dev/fd/N is file descriptor N"`
	Load           bool   `json:"load" help:"load the key into the agent, too, as lnk key add does"`
}

func keyGenerate(a *app) *cobra.Command {
	return verb[keyGenerateArgs, peerResult]{
		name:  "generate",
		short: "make a key in an encrypted file",
		long: `Generate makes an Ed25519 key, stores it encrypted in FILE and its public half in FILE.pub, and prints the peer id. Both files
appear or none; an existing one is never replaced. With --from the key is not made but imported: from a file of OpenSSH, encrypted
or not, or one in PKCS 8 that is not. Weak keys are refused. Where somebody typed the passphrase, it then offers to load the key into the
agent; --load does so without asking. A profile with a key of its own is made by lnk profile create.`,
		example:  "  lnk key generate ~/.ssh/id_lnk\n  lnk key generate --from ~/.ssh/id_ed25519 device",
		cannot:   "make the key",
		exits:    []int{exitNotFound, exitConflict, exitNoKey, exitNotPermitted, exitInterrupted},
		defaults: keyGenerateArgs{Comment: "lnk"},
		run:      a.generateKey,
		text:     printPeer,
	}.command(a)
}

func (a *app) generateKey(ctx context.Context, args keyGenerateArgs) (peerResult, error) {
	imported, old, err := a.readImported(ctx, args)
	if err != nil {
		return peerResult{}, err
	}
	defer clear(imported)
	defer clear(old)
	if args.Load { // before anybody types a passphrase for nothing
		if _, err := a.agentOfCurrent(ctx); err != nil {
			return peerResult{}, err
		}
	}
	ask := a.passphrases(args.PassphraseFile)
	passphrase, err := ask.New(ctx, "the key "+args.File)
	if err != nil {
		return peerResult{}, err
	}
	defer clear(passphrase)
	result := peerResult{File: args.File}
	if args.From == "" {
		result.Peer, err = keys.Generate(args.File, args.Comment, passphrase)
	} else {
		result.Peer, err = keys.Import(args.File, args.Comment, passphrase, imported, old)
	}
	if err != nil {
		return peerResult{}, err
	}
	return result, a.offerToLoad(ctx, args, ask.Personal(), passphrase)
}

// readImported reads the key of --from and asks for its passphrase, if it has one.
func (a *app) readImported(ctx context.Context, args keyGenerateArgs) (data, passphrase []byte, err error) {
	if args.From == "" {
		return nil, nil, nil
	}
	in, err := a.openInput(args.From)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	if data, err = keys.ReadKey(in); err != nil || !keys.NeedsPassphrase(data) {
		return data, nil, err
	}
	passphrase, err = a.passphrases(args.FromPassphrase).Existing(ctx, "the key to import")
	return data, passphrase, err
}

// offerToLoad gives the new key to the agent, if whoever is there wants it.
func (a *app) offerToLoad(ctx context.Context, args keyGenerateArgs, personal bool, passphrase []byte) error {
	agreed := args.Load
	if !agreed && personal {
		agreed, _ = a.passphrases("").Agree(ctx, "Load the key into your ssh-agent?") // nobody there: no
	}
	if !agreed {
		a.note("hint: lnk key add %s", args.File)
		return nil
	}
	_, p, err := a.currentOrNone()
	if err == nil {
		p.Key = args.File
		_, err = a.load(ctx, p, loadFlags{}, known(passphrase))
	}
	if err != nil {
		return fmt.Errorf("cannot load the new key in %s: %w", args.File, err)
	}
	return nil
}

// passphraseFunc is how [keys.Agent.Add] asks for a passphrase.
type passphraseFunc = func(context.Context) ([]byte, error)

// known is a passphrase that somebody has typed already.
func known(passphrase []byte) passphraseFunc {
	return func(context.Context) ([]byte, error) { return passphrase, nil }
}

type keyAddArgs struct {
	File string `arg:"[FILE]"`
	loadFlags
	Agent string `json:"agent" help:"the agent's <SOCKET> (default: as lnk doctor shows)"`
}

func keyAdd(a *app) *cobra.Command {
	return verb[keyAddArgs, peerResult]{
		name:  "add",
		short: "load a key into the agent",
		long: `Add opens the key in FILE, by default that of the profile in use, gives it to your ssh-agent and prints its peer id. The agent
forgets it after --lifetime.

The passphrase is the first line of --passphrase-file, or of the credential "lnk-passphrase" in a systemd service; else it
is asked for on the terminal, or through the program in SSH_ASKPASS where there is none.`,
		cannot: "load the key",
		exits:  []int{exitNotFound, exitNoKey, exitNotPermitted, exitInterrupted},
		run: func(ctx context.Context, args keyAddArgs) (peerResult, error) {
			find := a.current
			if args.File != "" { // which needs no profile
				find = a.currentOrNone
			}
			_, p, err := find()
			if err != nil {
				return peerResult{}, err
			}
			p.Key = cmp.Or(args.File, p.Key)
			if args.Agent != "" {
				p.AgentSocket, p.AgentOnly = args.Agent, true
			}
			if p.Key == "" {
				return peerResult{}, ipc.Errorf(ipc.NotFound, "profile %s has no key file", p.Name).WithHint("lnk key add FILE")
			}
			id, err := a.load(ctx, p, args.loadFlags, a.askFor(p.Key, args.PassphraseFile))
			return peerResult{id, p.Key}, err
		},
		text: printPeer,
	}.command(a)
}

// askFor asks for the passphrase of a key file.
func (a *app) askFor(key, passphraseFile string) passphraseFunc {
	return func(ctx context.Context) ([]byte, error) { return a.passphrases(passphraseFile).Existing(ctx, key) }
}

// load gives the key file of a profile to the agent. For how long is remembered for lnk key list.
func (a *app) load(ctx context.Context, p profile.Profile, how loadFlags, passphrase passphraseFunc) (peer.ID, error) {
	options, err := how.options(p)
	if err != nil {
		return "", err
	}
	agent, err := a.agent(ctx, p)
	if err != nil {
		return "", err
	}
	id, err := agent.Add(ctx, p.Key, passphrase, options)
	if err != nil {
		return "", err
	}
	if err := a.loads().Remember(a.knownAs(agent, id), id, options); err != nil {
		a.note("%v", err)
	}
	return id, nil
}

// knownAs is the agent under the name by which the key's profile knows it: that of an unattended peer is behind a socket of
// systemd's.
func (a *app) knownAs(agent keys.Agent, id peer.ID) keys.Agent {
	dirs, _ := a.dirs()
	profiles, _ := dirs.Profiles() // those that are broken know nothing
	for _, p := range profiles {
		if p.Peer == id && p.AgentOnly {
			agent.Path = p.AgentSocket
		}
	}
	return agent
}

// loads remembers for how long keys were given to an agent.
func (a *app) loads() keys.Loads {
	dirs, _ := a.dirs() // without a home nothing is remembered, and nothing else works either
	return keys.Loads{Dir: dirs.Loads()}
}

// passphrases says where passphrases come from: the first line of a file, else a credential, else a person.
func (a *app) passphrases(file string) keys.Passphrases {
	return keys.Passphrases{File: file, Getenv: a.Getenv}
}

// openInput opens a file, - for standard input.
func (a *app) openInput(file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(a.Stdin), nil
	}
	return os.Open(file)
}
