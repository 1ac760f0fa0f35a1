package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/launchd/plist"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/supervisor"
	"github.com/lnk-suite/lnk/units"
)

func serviceCommand(a *app) *cobra.Command {
	return noun("service", "leave the sockets to the service manager",
		`With the units installed, systemd listens on the sockets from log-in on and starts a daemon when somebody connects. Nothing
here needs root. Where there is no service manager for users, run lnk up instead.`,
		servicePrint(a), serviceInstall(a), serviceEnable(a), serviceDisable(a), serviceStatus(a), serviceUninstall(a))
}

type servicePrintArgs struct {
	Programs string        `json:"programs" help:"the <FOLDER> of the daemons (default: that of lnk)"`
	Dir      string        `json:"dir" help:"write the files below <FOLDER>, which systemd searches, instead of printing them"`
	Idle     time.Duration `json:"idle" help:"how long (<TIME>) a daemon without work stays; 0s leaves it to the daemon"`
	Launchd  bool          `json:"launchd" help:"property lists for launchd instead of units for systemd"`
}

type unitFile struct {
	Path string `json:"path" cbor:"0,keyasint"`
	Text string `json:"text" cbor:"1,keyasint"`
}

func servicePrint(a *app) *cobra.Command {
	return verb[servicePrintArgs, []unitFile]{
		name:  "print",
		short: "print the unit files, for packagers and the curious",
		long: `Print shows the units and the preset without anything of this user's. With --dir it writes them there, as
user/NAME and user-preset/NAME, and prints only the names.

With --launchd it shows the property lists by which macOS runs the bus and the git daemon of each of your profiles. Written
into ~/Library/LaunchAgents, they are used from the next log-in on, or at once: launchctl bootstrap gui/$UID FILE.`,
		example: "  lnk service print --programs /usr/bin --dir /usr/lib/systemd\n  lnk service print --launchd --dir ~/Library/LaunchAgents",
		cannot:  "print the units",
		run: func(_ context.Context, args servicePrintArgs) ([]unitFile, error) {
			if args.Programs == "" {
				args.Programs = filepath.Dir(a.Executable)
			}
			render := renderUnits
			if args.Launchd {
				render = a.renderPropertyLists
			}
			files, err := render(args)
			list := make([]unitFile, 0, len(files))
			for _, f := range files {
				if args.Dir != "" {
					if err := writeUnit(filepath.Join(args.Dir, f.Path), f.Data); err != nil {
						return nil, err
					}
					f = units.File{Path: filepath.Join(args.Dir, f.Path)}
				}
				list = append(list, unitFile{f.Path, string(f.Data)})
			}
			return list, err
		},
		text: func(w io.Writer, files []unitFile) error {
			for _, f := range files {
				if f.Text == "" {
					fmt.Fprintln(w, f.Path)
				} else {
					fmt.Fprintf(w, "# %s\n%s\n", f.Path, f.Text)
				}
			}
			return nil
		},
	}.command(a)
}

func renderUnits(args servicePrintArgs) ([]units.File, error) {
	return units.Render(units.Config{Programs: args.Programs, Idle: args.Idle})
}

// renderPropertyLists makes the folders, too, when the lists are written: launchd does not make that of a socket or of a log.
func (a *app) renderPropertyLists(args servicePrintArgs) ([]units.File, error) {
	config, err := a.unitConfig(args.Idle)
	if err != nil {
		return nil, err
	}
	dirs := config.Dirs
	// systemd sets it for its units; without it, the git daemon would look for the bus elsewhere.
	if runtime := a.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
		config.Environment = append(config.Environment, "XDG_RUNTIME_DIR="+runtime)
	}
	lists := plist.Config{Programs: args.Programs, Logs: dirs.State, Environment: config.Environment, Idle: args.Idle}
	lists.Sockets = []plist.Socket{
		{Program: "lnk-busd", Service: "bus", Path: dirs.Socket("bus", "")},
		{Program: "lnk-trustd", Service: "trust", Path: dirs.Socket("trust", "")},
	}
	for _, id := range config.Peers {
		lists.Sockets = append(lists.Sockets, plist.Socket{Program: "lnk-gitd", Service: "gitd", Peer: string(id), Path: dirs.Socket("gitd", id)})
	}
	if args.Dir != "" {
		if err := errors.Join(os.MkdirAll(dirs.State, 0o700), os.MkdirAll(dirs.Runtime, 0o700)); err != nil {
			return nil, err
		}
	}
	rendered, err := plist.Render(lists)
	files := make([]units.File, 0, len(rendered))
	for _, f := range rendered {
		files = append(files, units.File{Path: f.Name, Data: f.Data})
	}
	return files, err
}

func writeUnit(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return profile.WriteFile(path, data, 0o644)
}

type serviceScope struct {
	User    bool `json:"user" help:"install for this user: the only way that there is, accepted for clarity"`
	Runtime bool `json:"runtime" help:"until the next log-out only"`
}

type serviceInstallArgs struct {
	serviceScope
	Idle time.Duration `json:"idle" help:"how long (<TIME>) a daemon without work stays; 0s leaves it to the daemon"`
	seedFlags
}

func serviceInstall(a *app) *cobra.Command {
	return action[serviceInstallArgs]{
		name:  "install",
		short: "write the units and listen on the sockets",
		long: `Install writes the units for this lnk's daemons into ~/.config/systemd and enables the sockets of the bus and of every profile.
To install again is to update: a daemon whose unit changed is ended, and the next connection starts the new one. The
sockets of a profile that is made later are enabled with it. A running lnk up has to end first.

With --seed the profile in use becomes an unattended peer: an ssh-agent of its own, behind a socket unit, is started when
somebody needs a signature, is given the key then, and is from now on the only one that signs for this profile. The
passphrase is asked for once, checked, and stored as an encrypted credential where systemd can do that for users, else in a
file that only you can read; it is never in a unit, an environment variable or a log. lnk service uninstall undoes it.`,
		example: "  lnk service install\n  lnk --profile seed service install --seed --passphrase-file /dev/fd/3 3<secret",
		cannot:  "install the units",
		exits:   []int{exitNotFound, exitConflict, exitUnavailable, exitNoKey, exitInterrupted},
		run: func(ctx context.Context, args serviceInstallArgs) error {
			if err := args.seedFlags.check(); err != nil {
				return err
			}
			if err := a.refuseBesideUp(ctx); err != nil {
				return err
			}
			config, err := a.unitConfig(args.Idle)
			if err != nil {
				return err
			}
			if args.Seed {
				seed, err := a.prepareSeed(ctx, args)
				if err != nil {
					return err
				}
				config.Seeds = append(config.Seeds, seed)
			}
			err = a.withManager(args.serviceScope, func(m *units.Manager) error { return m.Install(ctx, config) })
			if err != nil || !args.Seed {
				return err
			}
			return a.adoptSeed()
		},
	}.command(a)
}

func serviceEnable(a *app) *cobra.Command {
	return action[serviceScope]{
		name:   "enable",
		short:  "listen on the sockets of the bus and of every profile",
		long:   "Enable makes the installed sockets of the bus and of every profile that there is listen, now and after the next log-in.",
		cannot: "enable the units",
		exits:  []int{exitConflict, exitUnavailable},
		run: func(ctx context.Context, scope serviceScope) error {
			if err := a.refuseBesideUp(ctx); err != nil {
				return err
			}
			peers, err := a.peers()
			if err != nil {
				return err
			}
			return a.withManager(scope, func(m *units.Manager) error { return m.Enable(ctx, peers) })
		},
	}.command(a)
}

func serviceDisable(a *app) *cobra.Command {
	return serviceStep(a, action[serviceScope]{
		name:   "disable",
		short:  "end the daemons and close the sockets",
		long:   "Disable ends every daemon and lets none start again until lnk service enable. The units stay installed.",
		cannot: "disable the units",
	}, (*units.Manager).Disable)
}

func serviceUninstall(a *app) *cobra.Command {
	return serviceStep(a, action[serviceScope]{
		name:  "uninstall",
		short: "disable and remove the units",
		long: `Uninstall ends every daemon, closes the sockets and removes what install wrote. Keys, repositories and events stay. Unattended
profiles use your ssh-agent again, and the passphrases that were stored for theirs are removed.`,
		cannot: "uninstall the units",
	}, func(m *units.Manager, ctx context.Context) error {
		return errors.Join(m.Uninstall(ctx), a.releaseSeeds())
	})
}

// serviceStep makes the command of a step that needs nothing but the service manager.
func serviceStep(a *app, command action[serviceScope], step func(*units.Manager, context.Context) error) *cobra.Command {
	command.exits = []int{exitUnavailable}
	command.run = func(ctx context.Context, scope serviceScope) error {
		return a.withManager(scope, func(m *units.Manager) error { return step(m, ctx) })
	}
	return command.command(a)
}

func serviceStatus(a *app) *cobra.Command {
	return verb[none, []units.Status]{
		name:   "status",
		short:  "show the units as the service manager knows them",
		long:   "Status lists the services whose sockets the service manager has loaded, with crashes and the last result. It starts no daemon.",
		cannot: "ask the service manager",
		exits:  []int{exitUnavailable},
		run: func(ctx context.Context, _ none) (list []units.Status, err error) {
			err = a.withManager(serviceScope{}, func(m *units.Manager) error {
				list, err = m.Status(ctx)
				return err
			})
			return list, err
		},
		text: func(w io.Writer, list []units.Status) error {
			return table(w, "NAME\tSTATE\tPID\tRESTARTS\tRESULT\tSOCKET", func(row func(...any)) {
				for _, s := range list {
					row(s.Name, s.State, s.PID, s.Restarts, s.Result, s.Socket)
				}
			})
		},
	}.command(a)
}

// refuseBesideUp fails if lnk up runs: systemd would take its socket files away without a word.
func (a *app) refuseBesideUp(ctx context.Context) error {
	dirs, err := a.dirs()
	if err != nil {
		return err
	}
	switch _, err := supervisor.Status(ctx, dirs); {
	case errors.Is(err, supervisor.ErrNotRunning):
		return nil
	case err != nil:
		return err
	}
	return ipc.Errorf(ipc.Conflict, "lnk up listens on the sockets").WithHint("end lnk up first")
}

// withManager runs one step with the user's service manager. A failure without a code of its own is the manager's.
func (a *app) withManager(scope serviceScope, step func(*units.Manager) error) error {
	manager, err := units.NewManager(a.Environ(), scope.Runtime)
	if err == nil {
		err = step(manager)
	}
	return ofManager(err)
}

func ofManager(err error) error {
	if err != nil && ipc.CodeOf(err) == ipc.Internal {
		return ipc.Errorf(ipc.Unavailable, "%w", err).WithHint("where there is no systemd for users, run lnk up")
	}
	return err
}

// unitConfig describes this lnk, its folders and profiles to package units.
func (a *app) unitConfig(idle time.Duration) (units.Config, error) {
	dirs, err := a.dirs()
	if err != nil {
		return units.Config{}, err
	}
	peers, err := a.peers()
	if err != nil {
		return units.Config{}, err
	}
	config := units.Config{Programs: filepath.Dir(a.Executable), Idle: idle, Dirs: dirs, Peers: peers}
	for _, name := range []string{"LNK_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"} {
		if value := a.Getenv(name); value != "" {
			config.Environment = append(config.Environment, name+"="+value)
		}
	}
	return config, nil
}

// peers lists the peer ids of all profiles.
func (a *app) peers() ([]peer.ID, error) {
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	profiles, err := dirs.Profiles()
	ids := make([]peer.ID, 0, len(profiles))
	for _, p := range profiles {
		ids = append(ids, p.Peer)
	}
	return ids, err
}
