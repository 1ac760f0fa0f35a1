package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
)

func (d Dirs) activeFile() string { return filepath.Join(d.Config, "active") }

// Profile returns the profile called name; with "" the one that LNK_PROFILE selects, else the active one. If there is
// none, the error is ipc.NotFound and its hint `lnk profile create`.
func (d Dirs) Profile(name string) (Profile, error) {
	if name == "" {
		active, err := d.ActiveName()
		if err != nil {
			return Profile{}, err
		}
		name = active
	}
	if err := CheckName(name); err != nil {
		return Profile{}, err
	}
	p, err := d.load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Profile{}, ipc.Errorf(ipc.NotFound, "no profile %s", name).WithHint("lnk profile create " + name)
	}
	return p, err
}

// ActiveName returns the name of the profile in use: LNK_PROFILE, else what SetActive chose. Nothing says that the profile exists.
func (d Dirs) ActiveName() (string, error) {
	if d.Selected != "" {
		return d.Selected, nil
	}
	data, err := os.ReadFile(d.activeFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", ipc.Errorf(ipc.NotFound, "no profile is active").WithHint("lnk profile create NAME")
	}
	if err != nil {
		return "", fmt.Errorf("cannot find the active profile: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// SetActive makes an existing profile the one that is used where none is named.
func (d Dirs) SetActive(name string) error {
	if name == "" {
		return errors.New("cannot make a profile active: no name given")
	}
	if _, err := d.Profile(name); err != nil {
		return err
	}
	return WriteFile(d.activeFile(), []byte(name+"\n"), 0o600)
}
