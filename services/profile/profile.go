package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// Profile is one device key and its settings.
type Profile struct {
	// Name is the stem of the profile's file: lower case letters, digits, "-", "_" and ".", at most 64, no leading ".".
	Name string `toml:"-"`
	// Peer is the device key.
	Peer peer.ID `toml:"peer"`
	// Key is the absolute path of the encrypted private key file, if it lives in one.
	Key string `toml:"key,omitempty"`
	// AgentSocket is the ssh-agent to use unless the caller names one. Optional.
	AgentSocket string `toml:"agent_socket,omitempty"`
	// AgentOnly makes AgentSocket the only agent that signs for this profile, whoever asks: unattended peers have their own.
	AgentOnly bool `toml:"agent_only,omitempty"`
	// AgentTimeout is how long the agent may take for a signature; 0 leaves it to the suite.
	AgentTimeout time.Duration `toml:"agent_timeout,omitzero"`
	// Lifetime is how long lnk key add loads the key for; 0 leaves it to the suite. Whole seconds count.
	Lifetime time.Duration `toml:"lifetime,omitzero"`
}

const suffix = ".toml"

func (d Dirs) profileFile(name string) string {
	return filepath.Join(d.Config, "profiles", name+suffix)
}

// Profiles returns every profile, ordered by name. A profile that cannot be read does not hide the others: they are
// returned beside the error.
func (d Dirs) Profiles() ([]Profile, error) {
	entries, err := os.ReadDir(filepath.Join(d.Config, "profiles"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list profiles: %w", err)
	}
	var profiles []Profile
	var broken error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || CheckName(name) != nil {
			continue
		}
		p, err := d.load(name)
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		profiles = append(profiles, p)
	}
	return profiles, broken
}

// Called is the profile that a command line must name to be about the key id: empty if there is no other that it could be
// about, or none that has the key.
func (d Dirs) Called(id peer.ID) string {
	profiles, broken := d.Profiles()
	for _, p := range profiles {
		if p.Peer == id && (len(profiles) > 1 || broken != nil) {
			return p.Name
		}
	}
	return ""
}

func (d Dirs) load(name string) (Profile, error) {
	data, err := os.ReadFile(d.profileFile(name))
	if err != nil {
		return Profile{}, err
	}
	p, err := decode(data)
	if err != nil {
		return Profile{}, fmt.Errorf("cannot read profile %s (%s): %w", name, d.profileFile(name), err)
	}
	p.Name = name
	return p, nil
}

func decode(data []byte) (Profile, error) {
	var p Profile
	if err := decodeTOML(data, &p); err != nil {
		return Profile{}, err
	}
	return p, p.check()
}

// check holds what is true of every stored profile.
func (p Profile) check() error {
	if id, err := peer.Parse(string(p.Peer)); err != nil || id != p.Peer {
		return fmt.Errorf("peer is not a peer id: %q", p.Peer)
	}
	if p.AgentOnly && p.AgentSocket == "" {
		return errors.New("agent_only needs agent_socket")
	}
	if p.Lifetime < 0 || p.AgentTimeout < 0 {
		return errors.New("lifetime or agent_timeout is negative")
	}
	for setting, path := range map[string]string{"key": p.Key, "agent_socket": p.AgentSocket} {
		if path != "" && !filepath.IsAbs(path) {
			return fmt.Errorf("%s is not an absolute path: %q", setting, path)
		}
	}
	return nil
}

// CheckName says whether a name can be a profile's; if not the error is ipc.BadRequest.
func CheckName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	if name == "" || len(name) > 64 || name[0] == '.' || name[0] == '-' || strings.Trim(name, letters) != "" {
		return ipc.Errorf(ipc.BadRequest, "cannot call a profile %q", name).WithHint("use up to 64 of a-z, 0-9, -, _ and ., and begin with a letter, a digit or _")
	}
	return nil
}

// SaveProfile stores a profile, replacing one of that name.
func (d Dirs) SaveProfile(p Profile) error {
	if err := CheckName(p.Name); err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("cannot save profile %s: %w", p.Name, err)
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(p); err != nil {
		return fmt.Errorf("cannot save profile %s: %w", p.Name, err)
	}
	path := d.profileFile(p.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot save profile %s: %w", p.Name, err)
	}
	return WriteFile(path, text.Bytes(), 0o600)
}
