package cli

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
)

// app is what the commands of one command line share: the process's State and the global flags.
type app struct {
	State

	format  format
	profile string // --profile; empty for LNK_PROFILE or the active one

	tokenFile string // --token-file
	token     []byte // what it holds, once it was read
}

// commands lists the tree below lnk.
func commands(a *app) []*cobra.Command {
	return []*cobra.Command{
		upCommand(a), statusCommand(a), doctorCommand(a),
		profileCommand(a), keyCommand(a), tokenCommand(a),
		initCommand(a), cloneCommand(a), projectCommand(a),
		pushCommand(a), pullCommand(a), fetchCommand(a),
		subCommand(a), pubCommand(a), topicsCommand(a),
		trustCommand(a),
		sshConfigCommand(a), proxyCommand(a), knownHostsCommand(a),
		serviceCommand(a), gatewayCommand(a), ipcCommand(a),
		completionCommand(a),
		generateCommand(a),
	}
}

// dirs finds the suite's folders in the environment, with --profile as the selected profile.
func (a *app) dirs() (profile.Dirs, error) {
	dirs, err := profile.NewDirs(a.Getenv)
	if err == nil && a.profile != "" {
		dirs.Selected = a.profile
	}
	return dirs, err
}

// current returns the profile in use.
func (a *app) current() (profile.Dirs, profile.Profile, error) {
	dirs, err := a.dirs()
	if err != nil {
		return dirs, profile.Profile{}, err
	}
	p, err := dirs.Profile("")
	return dirs, p, err
}

// currentOrNone is current, with the zero profile where none is active. One that was asked for by name has to be there, and one
// that cannot be read is not passed over: it may name the only agent that is to be used.
func (a *app) currentOrNone() (profile.Dirs, profile.Profile, error) {
	dirs, p, err := a.current()
	if dirs.Selected == "" && errors.Is(err, ipc.NotFound) {
		err = nil
	}
	return dirs, p, err
}

func isMissing(err error) bool { return errors.Is(err, ipc.NotFound) || errors.Is(err, fs.ErrNotExist) }
