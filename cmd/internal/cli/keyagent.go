package cli

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// heldKey is a key in the agent.
type heldKey struct {
	Peer        peer.ID    `json:"peer,omitempty" cbor:"0,keyasint,omitempty"` // empty unless it is plain Ed25519
	Type        string     `json:"type" cbor:"1,keyasint"`
	Fingerprint string     `json:"fingerprint" cbor:"2,keyasint"`
	Comment     string     `json:"comment" cbor:"3,keyasint"`
	Profiles    []string   `json:"profiles,omitempty" cbor:"4,keyasint,omitempty"`
	Loaded      *time.Time `json:"loaded,omitempty" cbor:"5,keyasint,omitempty"`  // nil: not by lnk, or not as it remembers
	Until       *time.Time `json:"until,omitempty" cbor:"6,keyasint,omitempty"`   // nil and loaded: until the agent ends
	Confirm     bool       `json:"confirm,omitempty" cbor:"7,keyasint,omitempty"` // the agent asks before each signature
}

func keyList(a *app) *cobra.Command {
	return verb[none, []heldKey]{
		name:  "list",
		short: "list the keys in the agent",
		long: `List prints the keys that your ssh-agent holds, the profiles that they belong to, and how long they stay. A locked agent shows
none. An agent does not tell how long it keeps a key, so that column is what lnk remembers of lnk key add: "?" stands for
keys that were loaded by other means, and if another program has loaded a key of ours again, lnk does not know. Profiles that cannot be
read are told of, and make the status 3.`,
		cannot: "list the keys",
		exits:  []int{exitPartial, exitNotFound, exitNoKey},
		run: func(ctx context.Context, _ none) ([]heldKey, error) {
			agent, err := a.agentOfCurrent(ctx)
			if err != nil {
				return nil, err
			}
			held, err := agent.List(ctx)
			if err != nil {
				return nil, err
			}
			owners, err := a.owners()
			list := make([]heldKey, 0, len(held))
			for _, k := range held {
				list = append(list, describeHeld(k, owners, a.loads(), agent))
			}
			return someRead(list, err)
		},
		text: func(w io.Writer, list []heldKey) error {
			return table(w, "PEER\tPROFILE\tSTAYS\tTYPE\tFINGERPRINT\tCOMMENT", func(row func(...any)) {
				for _, k := range list {
					row(orDash(string(k.Peer)), orDash(strings.Join(k.Profiles, ",")), k.stays(), k.Type, k.Fingerprint, k.Comment)
				}
			})
		},
	}.command(a)
}

func describeHeld(k keys.Held, owners map[peer.ID][]string, loads keys.Loads, agent keys.Agent) heldKey {
	h := heldKey{Peer: k.Peer, Type: k.Type, Fingerprint: k.Fingerprint, Comment: k.Comment}
	if k.Peer == "" {
		return h
	}
	h.Profiles = owners[k.Peer]
	loaded, known := loads.Recall(agent, k.Peer)
	if !known {
		return h
	}
	h.Loaded, h.Confirm = &loaded.At, loaded.Confirm
	if !loaded.Until.IsZero() {
		h.Until = &loaded.Until
	}
	return h
}

// stays says for people how long the agent keeps the key.
func (k heldKey) stays() string {
	text := "?"
	switch {
	case k.Until != nil:
		text = time.Until(*k.Until).Round(time.Second).String()
	case k.Loaded != nil:
		text = "forever"
	}
	if k.Confirm {
		text += ", asks"
	}
	return text
}

// owners lists the profiles of each key.
func (a *app) owners() (map[peer.ID][]string, error) {
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	profiles, err := dirs.Profiles()
	owners := map[peer.ID][]string{}
	for _, p := range profiles {
		owners[p.Peer] = append(owners[p.Peer], p.Name)
	}
	return owners, err
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func keyReady(a *app) *cobra.Command {
	return verb[peerArg, peerResult]{
		name:  "ready",
		short: "say by the exit status whether the agent can sign",
		long: `Ready succeeds if your ssh-agent holds the key PEER, by default that of the profile in use, and is not locked; else it says
what is wrong and what helps. A key that was loaded with --confirm is ready: whether you agree shows when it signs.`,
		example: "  lnk key ready || lnk key add",
		cannot:  "sign",
		exits:   []int{exitNotFound, exitNoKey},
		run: func(ctx context.Context, args peerArg) (peerResult, error) {
			return a.withKey(ctx, args, keys.Agent.Ready)
		},
	}.command(a)
}

func keyRemove(a *app) *cobra.Command {
	return verb[peerArg, peerResult]{
		name:   "rm",
		short:  "make the agent forget a key",
		long:   "Rm makes your ssh-agent forget the key PEER, by default that of the profile in use. The key file stays.",
		cannot: "remove the key from the agent",
		exits:  []int{exitNotFound, exitNoKey},
		run: func(ctx context.Context, args peerArg) (peerResult, error) {
			result, err := a.withKey(ctx, args, keys.Agent.Remove)
			if err != nil {
				return result, err
			}
			if err := a.loads().Forget(result.Peer); err != nil {
				a.note("%v", err) // the agent has forgotten it nevertheless
			}
			return result, nil
		},
		text: printPeer,
	}.command(a)
}

// withKey does something with the agent and the key PEER.
func (a *app) withKey(ctx context.Context, args peerArg, do func(keys.Agent, context.Context, peer.ID) error) (peerResult, error) {
	id, err := a.peerOf(args.Peer)
	if err != nil {
		return peerResult{}, err
	}
	agent, err := a.agentOfCurrent(ctx)
	if err != nil {
		return peerResult{}, err
	}
	if dirs, err := a.dirs(); err == nil && args.Peer != "" {
		agent.For = dirs.Called(id)
	}
	return peerResult{Peer: id}, do(agent, ctx, id)
}

type keyLockArgs struct {
	PassphraseFile string `json:"passphrase_file" help:"read the passphrase from the first line of <FILE>; /dev/fd/N is file descriptor N"`
}

func keyLock(a *app) *cobra.Command {
	return action[keyLockArgs]{
		name:  "lock",
		short: "lock the agent with a passphrase",
		long: `Lock makes your ssh-agent refuse everything until lnk key unlock with the same passphrase, which you choose now: it has
nothing to do with those of the keys. All keys in the agent are concerned.`,
		cannot: "lock the agent",
		exits:  []int{exitNotFound, exitNoKey, exitNotPermitted, exitInterrupted},
		run: func(ctx context.Context, args keyLockArgs) error {
			agent, err := a.agentOfCurrent(ctx)
			if err != nil {
				return err
			}
			passphrase, err := a.passphrases(args.PassphraseFile).New(ctx, "the agent's lock")
			if err != nil {
				return err
			}
			defer clear(passphrase)
			return agent.Lock(ctx, passphrase)
		},
	}.command(a)
}

func keyUnlock(a *app) *cobra.Command {
	return action[keyLockArgs]{
		name:   "unlock",
		short:  "unlock the agent",
		long:   "Unlock undoes lnk key lock, or ssh-add -x. Lifetimes have gone on meanwhile.",
		cannot: "unlock the agent",
		exits:  []int{exitNotFound, exitNoKey, exitNotPermitted, exitInterrupted},
		run: func(ctx context.Context, args keyLockArgs) error {
			agent, err := a.agentOfCurrent(ctx)
			if err != nil {
				return err
			}
			passphrase, err := a.passphrases(args.PassphraseFile).Existing(ctx, "the agent's lock")
			if err != nil {
				return err
			}
			defer clear(passphrase)
			return agent.Unlock(ctx, passphrase)
		},
	}.command(a)
}
