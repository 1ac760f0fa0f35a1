package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/supervisor"
	"github.com/lnk-suite/lnk/units"
)

func profileCommand(a *app) *cobra.Command {
	return noun("profile", "make and choose profiles: a device key and its settings",
		`A profile is one device key, whose public half is the peer id that the sockets, events and repositories are named after. The
private half lives in an OpenSSH key file, encrypted with a passphrase, and while it is in use in your ssh-agent.`,
		profileCreate(a), profileList(a), profileUse(a), profileShow(a))
}

// profileInfo is what the commands print of a profile.
type profileInfo struct {
	Name   string  `json:"name" cbor:"0,keyasint"`
	Peer   peer.ID `json:"peer" cbor:"1,keyasint"`
	Active bool    `json:"active" cbor:"2,keyasint"`
	Key    string  `json:"key,omitempty" cbor:"3,keyasint,omitempty"`
	Agent  string  `json:"agent_socket,omitempty" cbor:"4,keyasint,omitempty"`

	AgentOnly    bool   `json:"agent_only,omitempty" cbor:"5,keyasint,omitempty"`
	AgentTimeout string `json:"agent_timeout,omitempty" cbor:"6,keyasint,omitempty"`
	Lifetime     string `json:"lifetime,omitempty" cbor:"7,keyasint,omitempty"`
}

func describeProfile(p profile.Profile, active string) profileInfo {
	return profileInfo{p.Name, p.Peer, p.Name == active, p.Key, p.AgentSocket, p.AgentOnly, span(p.AgentTimeout), span(p.Lifetime)}
}

// span is a setting as it stands in the profile; empty for one that is left to the suite.
func span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

type profileCreateArgs struct {
	Name string `arg:"NAME"`
	loadFlags
	Key     string `json:"key" help:"use the existing Ed25519 key in <FILE> instead of making one"`
	NoAgent bool   `json:"no_agent" help:"only make the key, do not load it into the agent"`
}

func profileCreate(a *app) *cobra.Command {
	return verb[profileCreateArgs, profileInfo]{
		name:  "create",
		short: "make a device key, load it into the agent, print the peer id",
		long: `Create makes an Ed25519 key in an encrypted OpenSSH file, loads it into your ssh-agent and prints the peer id alone. Where no
profile is active yet, the new one becomes it. Its socket listens from then on, if lnk up runs or the units are enabled. If
the agent does not take the key, nothing is left behind.

A --lifetime is remembered for lnk key add. The passphrase is the first line of --passphrase-file; without it, it is asked for twice on the terminal, or through the
program in SSH_ASKPASS where there is none.`,
		example: "  lnk profile create work\n  lnk profile create ci --passphrase-file secret --lifetime 1h",
		cannot:  "create the profile",
		exits:   []int{exitNotFound, exitConflict, exitNoKey, exitNotPermitted, exitInterrupted},
		run:     a.createProfile,
		text: func(w io.Writer, p profileInfo) error {
			return printPeer(w, peerResult{Peer: p.Peer})
		},
	}.command(a)
}

func (a *app) createProfile(ctx context.Context, args profileCreateArgs) (profileInfo, error) {
	dirs, err := a.dirs()
	if err != nil {
		return profileInfo{}, err
	}
	if err := profile.CheckName(args.Name); err != nil {
		return profileInfo{}, ipc.Errorf(ipc.BadRequest, "%w", err)
	}
	switch _, err := dirs.Profile(args.Name); {
	case err == nil:
		return profileInfo{}, ipc.Errorf(ipc.AlreadyExists, "profile %s exists already", args.Name).
			WithHint("choose another name, or use it: lnk profile use " + args.Name)
	case !isMissing(err):
		return profileInfo{}, err
	}
	p, err := a.newProfile(ctx, dirs, args)
	if err != nil {
		return profileInfo{}, err
	}
	if err := activateFirst(dirs, p.Name); err != nil {
		return profileInfo{}, err
	}
	a.announce(ctx, dirs, p)
	return a.showProfile(ctx, profileName{args.Name})
}

// announce makes whoever listens on the sockets listen on that of a new profile, too.
func (a *app) announce(ctx context.Context, dirs profile.Dirs, p profile.Profile) {
	err := supervisor.Reload(ctx, dirs)
	if errors.Is(err, supervisor.ErrNotRunning) {
		err = a.enableSocket(ctx, p)
	}
	if err != nil {
		a.note("the socket of profile %s does not listen yet: %v", p.Name, err)
		a.note("hint: lnk service enable")
	}
}

// enableSocket does nothing unless the units are installed and enabled.
func (a *app) enableSocket(ctx context.Context, p profile.Profile) error {
	manager, ok := a.installedUnits()
	if !ok {
		return nil
	}
	states, err := manager.Status(ctx)
	listens := func(s units.Status) bool { return s.State != units.Stopped }
	if err != nil || !slices.ContainsFunc(states, listens) {
		return err
	}
	return manager.Enable(ctx, []peer.ID{p.Peer})
}

// activateFirst makes a profile the active one if there is none.
func activateFirst(dirs profile.Dirs, name string) error {
	dirs.Selected = ""
	if _, err := dirs.ActiveName(); !isMissing(err) {
		return err
	}
	return dirs.SetActive(name)
}

// newProfile makes or finds the key, loads it and stores the profile. If that fails, a fresh key is not left behind.
func (a *app) newProfile(ctx context.Context, dirs profile.Dirs, args profileCreateArgs) (p profile.Profile, err error) {
	p = profile.Profile{Name: args.Name, Key: dirs.KeyFile(args.Name)}
	if _, err := args.options(p); err != nil {
		return p, err
	}
	if args.Lifetime != nil {
		p.Lifetime = *args.Lifetime
	}
	if args.Key != "" {
		if p.Key, p.Peer, err = existingKey(args.Key); err == nil {
			err = a.keepProfile(ctx, dirs, p, args, a.askFor(p.Key, args.PassphraseFile))
		}
		return p, err
	}
	passphrase, id, err := a.freshKey(ctx, p, args)
	defer clear(passphrase)
	if err != nil {
		return p, err
	}
	p.Peer = id
	if err := a.keepProfile(ctx, dirs, p, args, known(passphrase)); err != nil {
		return p, errors.Join(err, os.Remove(p.Key), os.Remove(p.Key+".pub"))
	}
	return p, nil
}

// keepProfile loads the key and stores the profile.
func (a *app) keepProfile(ctx context.Context, dirs profile.Dirs, p profile.Profile, args profileCreateArgs, passphrase passphraseFunc) error {
	if !args.NoAgent {
		if _, err := a.load(ctx, p, args.loadFlags, passphrase); err != nil {
			return err
		}
	}
	return dirs.SaveProfile(p)
}

// existingKey finds the key of --key.
func existingKey(file string) (path string, id peer.ID, err error) {
	if path, err = filepath.Abs(file); err != nil {
		return "", "", err
	}
	id, err = keys.ReadPublicKey(path)
	return path, id, err
}

// freshKey makes the key of a new profile. Whatever happens, the passphrase is to be cleared.
func (a *app) freshKey(ctx context.Context, p profile.Profile, args profileCreateArgs) (passphrase []byte, id peer.ID, err error) {
	if _, err := os.Lstat(p.Key); err == nil {
		return nil, "", ipc.Errorf(ipc.AlreadyExists, "there is a key without a profile in %s", p.Key).
			WithHint("use it: lnk profile create " + p.Name + " --key " + p.Key)
	}
	if !args.NoAgent { // before anybody types a passphrase for nothing
		if _, err := a.agent(ctx, p); err != nil {
			return nil, "", err
		}
	}
	if passphrase, err = a.passphrases(args.PassphraseFile).New(ctx, "the key of profile "+p.Name); err == nil {
		id, err = keys.Generate(p.Key, "lnk "+p.Name, passphrase)
	}
	return passphrase, id, err
}

type none struct{}

func profileList(a *app) *cobra.Command {
	return verb[none, []profileInfo]{
		name:   "list",
		short:  "list the profiles",
		long:   "List prints every profile; an asterisk marks the one in use. Those that cannot be read are told of, and make the status 3.",
		cannot: "list the profiles",
		exits:  []int{exitPartial},
		run: func(context.Context, none) ([]profileInfo, error) {
			dirs, err := a.dirs()
			if err != nil {
				return nil, err
			}
			profiles, err := dirs.Profiles()
			active, _ := dirs.ActiveName() // none is active: nothing is marked
			list := make([]profileInfo, 0, len(profiles))
			for _, p := range profiles {
				list = append(list, describeProfile(p, active))
			}
			return someRead(list, err)
		},
		text: func(w io.Writer, list []profileInfo) error {
			return table(w, "  NAME\tPEER", func(row func(...any)) {
				for _, p := range list {
					row(mark(p.Active)+p.Name, p.Peer)
				}
			})
		},
	}.command(a)
}

func mark(active bool) string {
	if active {
		return "* "
	}
	return "  "
}

type profileName struct {
	Name string `arg:"[NAME]"`
}

func profileUse(a *app) *cobra.Command {
	type args struct {
		Name string `arg:"NAME"`
	}
	return verb[args, profileInfo]{
		name:   "use",
		short:  "make a profile the active one",
		long:   "Use makes the profile NAME the one that is used where neither --profile nor LNK_PROFILE names another.",
		cannot: "use the profile",
		exits:  []int{exitNotFound},
		run: func(ctx context.Context, args args) (profileInfo, error) {
			dirs, err := a.dirs()
			if err != nil {
				return profileInfo{}, err
			}
			if err := dirs.SetActive(args.Name); err != nil {
				return profileInfo{}, err
			}
			return a.showProfile(ctx, profileName(args))
		},
	}.command(a)
}

func profileShow(a *app) *cobra.Command {
	return verb[profileName, profileInfo]{
		name:   "show",
		short:  "show a profile",
		long:   "Show prints the settings of the profile NAME, by default those of the one in use. It needs neither the agent nor the passphrase.",
		cannot: "show the profile",
		exits:  []int{exitNotFound},
		run:    a.showProfile,
		text: func(w io.Writer, p profileInfo) error {
			return table(w, "name\t"+p.Name, func(row func(...any)) {
				row("peer", p.Peer)
				row("active", p.Active)
				for _, setting := range [][2]string{{"key", p.Key}, {"agent_socket", p.agent()}, {"agent_timeout", p.AgentTimeout}, {"lifetime", p.Lifetime}} {
					if setting[1] != "" {
						row(setting[0], setting[1])
					}
				}
			})
		},
	}.command(a)
}

// agent says for people which agent the profile names.
func (p profileInfo) agent() string {
	if p.AgentOnly {
		return p.Agent + ", and no other"
	}
	return p.Agent
}

func (a *app) showProfile(_ context.Context, args profileName) (profileInfo, error) {
	dirs, err := a.dirs()
	if err != nil {
		return profileInfo{}, err
	}
	p, err := dirs.Profile(args.Name)
	if err != nil {
		return profileInfo{}, err
	}
	active, _ := dirs.ActiveName()
	return describeProfile(p, active), nil
}
