package units

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

// loaded are patterns for whatever of ours the manager has loaded, in the order in which to stop it: the users of the bus
// first, as they publish while they leave, and as one that starts would start its socket again. They are patterns, as
// naming a unit that is not loaded is an error.
var loaded = []string{
	"lnk-trustd*.timer", "lnk-trustd-renew*.service", "lnk-trustd*.socket", "lnk-trustd*.service",
	"lnk-gitd@*.socket", "lnk-gitd@*.service", "lnk-busd*.socket", "lnk-busd*.service",
	"lnk-seed-agent@*.socket", "lnk-seed-agent@*.service", "lnk-seed-keys@*.service",
}

// once are the units that listen or wait for all peers together.
var once = []string{"lnk-busd.socket", "lnk-trustd.socket", "lnk-trustd-renew.timer"}

// optional are the units that only listen for those who enabled them (systemctl --user enable).
var optional = []string{"lnk-trustd-http.socket"}

// chosen returns those of optional that somebody enabled.
func (m *Manager) chosen() []string {
	return slices.DeleteFunc(slices.Clone(optional), func(unit string) bool {
		_, err := os.Lstat(filepath.Join(m.Folder, "user", "sockets.target.wants", unit))
		return err != nil
	})
}

// sockets names what makes the daemons of the suite start for these peers.
func sockets(peers []peer.ID) []string {
	names := slices.Clone(once)
	for _, id := range peers {
		names = append(names, "lnk-gitd@"+string(id)+".socket")
	}
	return names
}

// Install writes the units and enables the sockets of c.Peers. Doing it again is an update: daemons that run are ended
// where a file changed, and the next connection starts the new ones.
func (m *Manager) Install(ctx context.Context, c Config) error {
	files, err := Render(c)
	if err != nil {
		return err
	}
	if err := m.Check(ctx); err != nil {
		return err
	}
	changed, err := m.write(files)
	if err != nil {
		return fmt.Errorf("cannot install units: %w", err)
	}
	if changed {
		if err := m.reload(ctx); err != nil {
			return fmt.Errorf("cannot install units: %w", err)
		}
	}
	return m.Enable(ctx, c.Peers)
}

// Check says whether the manager runs and looks for units where they will be put: its environment may have another
// XDG_CONFIG_HOME than the caller's.
func (m *Manager) Check(ctx context.Context) error {
	out, err := m.systemctl(ctx, "show", "--property=UnitPath", "--value")
	folder := filepath.Join(m.Folder, "user")
	if err == nil && !slices.Contains(strings.Fields(out), folder) {
		err = fmt.Errorf("your service manager does not look for units in %s", folder)
	}
	if err != nil {
		return fmt.Errorf("cannot install units: %w", err)
	}
	return nil
}

// write puts each file in place, whole, and says whether any of them is new.
func (m *Manager) write(files []File) (changed bool, err error) {
	for _, f := range files {
		path := filepath.Join(m.Folder, f.Path)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, f.Data) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return changed, err
		}
		if err := profile.WriteFile(path, f.Data, 0o644); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

// reload makes the manager read the files anew. What runs by the old ones is stopped first.
func (m *Manager) reload(ctx context.Context) error {
	if err := m.stop(ctx); err != nil {
		return err
	}
	_, err := m.systemctl(ctx, "daemon-reload")
	return err
}

// stop waits until everything of ours has left. One job at a time: among the jobs of one call there is no such order.
func (m *Manager) stop(ctx context.Context) error {
	for units := range slices.Chunk(loaded, 2) {
		if _, err := m.systemctl(ctx, append([]string{"stop", "--"}, units...)...); err != nil {
			return err
		}
	}
	return nil
}

// Enable makes the bus, the git daemons of these peers and the agents of the seeds listen, now and after the next log-in.
func (m *Manager) Enable(ctx context.Context, peers []peer.ID) error {
	seeds, err := m.seedSockets()
	if err == nil {
		_, err = m.systemctl(ctx, append(append(m.lasting("enable", "--now"), sockets(peers)...), append(seeds, m.chosen()...)...)...)
	}
	if err != nil {
		return fmt.Errorf("cannot enable the sockets: %w", err)
	}
	return nil
}

// lasting is a verb that changes what starts at log-in.
func (m *Manager) lasting(verb string, flags ...string) []string {
	args := append([]string{verb, "--quiet"}, flags...)
	if m.Runtime {
		args = append(args, "--runtime")
	}
	return append(args, "--")
}

// Disable ends every daemon of the suite, in order, and lets none start again until Enable.
func (m *Manager) Disable(ctx context.Context) error {
	err := m.stop(ctx)
	if err == nil {
		_, err = m.systemctl(ctx, slices.Concat(m.lasting("disable"), once, optional, []string{"lnk-gitd@.socket", "lnk-seed-agent@.socket"})...)
	}
	if err != nil {
		return fmt.Errorf("cannot disable the sockets: %w", err)
	}
	return nil
}

// Uninstall disables the sockets and removes what Install wrote. Keys, repositories and events stay, and so do
// drop-ins that somebody else made. It is no error if nothing is installed.
func (m *Manager) Uninstall(ctx context.Context) error {
	if found, err := m.installed(); err != nil || len(found) == 0 {
		return err
	}
	if err := m.Disable(ctx); err != nil {
		return err
	}
	if err := m.remove(); err != nil {
		return fmt.Errorf("cannot remove units: %w", err)
	}
	if _, err := m.systemctl(ctx, "daemon-reload"); err != nil {
		return fmt.Errorf("cannot remove units: %w", err)
	}
	return nil
}

// Installed says whether systemd finds units of ours: in this manager's folder or, unless that is for the session only,
// where make install and packages put them. It looks for a file only, as asking systemd costs a process.
func (m *Manager) Installed() bool {
	return slices.ContainsFunc(m.searched(), func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, targets[0]))
		return err == nil
	})
}

func (m *Manager) searched() []string {
	if m.Runtime {
		return []string{m.Folder}
	}
	folders := []string{m.Folder, "/etc/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"}
	getenv := lookup(m.Environ)
	if data := getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return append(folders, filepath.Join(data, "systemd"))
	}
	return append(folders, filepath.Join(getenv("HOME"), ".local/share/systemd"))
}

// installed lists the files of ours in the folder.
func (m *Manager) installed() ([]string, error) {
	var found []string
	for _, path := range targets {
		found = append(found, filepath.Join(m.Folder, path))
	}
	for _, pattern := range []string{"user/lnk-*@*.socket.d/" + dropIn, seedFile("*")} {
		dropIns, err := filepath.Glob(filepath.Join(m.Folder, pattern))
		if err != nil {
			return nil, err
		}
		found = append(found, dropIns...)
	}
	return slices.DeleteFunc(found, func(path string) bool {
		_, err := os.Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	}), nil
}

func (m *Manager) remove() error {
	paths, err := m.installed()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return err
		}
		// The folder of a drop-in goes too, unless another one is in it.
		if strings.HasSuffix(filepath.Dir(path), ".d") {
			_ = os.Remove(filepath.Dir(path))
		}
	}
	return nil
}
