package cli

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/units"
)

// seedFlags make the profile in use an unattended peer.
type seedFlags struct {
	Seed              bool   `json:"seed" help:"the profile in use is unattended: give it an ssh-agent of its own, filled by systemd"`
	PassphraseFile    string `json:"passphrase_file" help:"with --seed: read the passphrase from the first line of <FILE>"`
	ManagerCredential bool   `json:"manager_credential" help:"with --seed: store no passphrase, user@.service passes the credential lnk-passphrase on"`
}

func (f seedFlags) check() error {
	switch {
	case !f.Seed && (f.PassphraseFile != "" || f.ManagerCredential):
		return ipc.Errorf(ipc.BadRequest, "--passphrase-file and --manager-credential go with --seed")
	case f.PassphraseFile != "" && f.ManagerCredential:
		return ipc.Errorf(ipc.BadRequest, "--passphrase-file and --manager-credential exclude each other")
	}
	return nil
}

// prepareSeed finds out how the seed's agent gets the passphrase, and stores it for the agent alone.
func (a *app) prepareSeed(ctx context.Context, args serviceInstallArgs) (units.Seed, error) {
	dirs, p, err := a.current()
	if err != nil {
		return units.Seed{}, err
	}
	if p.Key == "" {
		return units.Seed{}, ipc.Errorf(ipc.NotFound, "profile %s has no key file", p.Name).WithHint("lnk profile create NAME")
	}
	// Before anybody types a passphrase for nothing, or one is stored that nobody uses.
	if err := a.withManager(args.serviceScope, func(m *units.Manager) error { return m.Check(ctx) }); err != nil {
		return units.Seed{}, err
	}
	seed := units.Seed{Peer: p.Peer, Key: p.Key, Passphrase: units.PassphraseNone}
	encrypted, err := keys.IsEncrypted(p.Key)
	switch {
	case err != nil || !encrypted:
		return seed, err
	case args.ManagerCredential:
		seed.Passphrase = units.PassphraseManager
		return seed, nil
	}
	passphrase, err := a.passphrases(args.PassphraseFile).Existing(ctx, p.Key)
	if err != nil {
		return seed, err
	}
	defer clear(passphrase)
	if err := keys.CheckPassphrase(p.Key, passphrase); err != nil {
		return seed, err
	}
	manager, err := units.NewManager(a.Environ(), args.Runtime)
	if err != nil {
		return seed, err
	}
	seed.Passphrase, seed.Credential, err = manager.StorePassphrase(ctx, seedStem(dirs, p.Peer), passphrase)
	if err == nil && seed.Passphrase == units.PassphraseFile {
		a.note("systemd here cannot encrypt a credential for your services: the passphrase is in %s, which only you can read", seed.Credential)
		a.note("hint: with root's help it can be encrypted: docs/keys.md, \"A seed\"")
	}
	return seed, err
}

// seedStem is how the files with a seed's passphrase begin.
func seedStem(dirs profile.Dirs, id peer.ID) string {
	return filepath.Join(dirs.Config, "seeds", string(id))
}

// adoptSeed makes the seed's agent the only one that signs for its profile.
func (a *app) adoptSeed() error {
	dirs, p, err := a.current()
	if err != nil {
		return err
	}
	p.AgentSocket, p.AgentOnly = dirs.Socket("seed-agent", p.Peer), true
	return dirs.SaveProfile(p)
}

// releaseSeeds undoes adoptSeed for every profile and removes the passphrases that were stored for their agents.
func (a *app) releaseSeeds() error {
	dirs, err := a.dirs()
	if err != nil {
		return err
	}
	profiles, err := dirs.Profiles()
	for _, p := range profiles {
		if !p.AgentOnly || p.AgentSocket != dirs.Socket("seed-agent", p.Peer) {
			continue
		}
		p.AgentSocket, p.AgentOnly = "", false
		err = errors.Join(err, dirs.SaveProfile(p), units.RemovePassphrase(seedStem(dirs, p.Peer)))
	}
	return err
}
