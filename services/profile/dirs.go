package profile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// Dirs are the folders of one user's suite, all absolute. None of them needs to exist.
type Dirs struct {
	// Config holds profiles and key files, State logs and the bus, Data repositories.
	Config, State, Data string
	// Runtime holds the sockets. Its owner is the user and its mode 0700.
	Runtime string
	// Selected is the profile that LNK_PROFILE asks for; empty for the active one.
	Selected string
}

// NewDirs finds the folders from an environment.
//
// LNK_HOME puts configuration, state and data under one folder; otherwise they are lnk under XDG_CONFIG_HOME,
// XDG_STATE_HOME and XDG_DATA_HOME. Sockets live in $XDG_RUNTIME_DIR/radicle (RFC 0682), or where that is unset: below
// LNK_HOME, else in /run/user/<uid>, else below ~/.lnk. Relative XDG paths are ignored, as the XDG specification demands.
func NewDirs(getenv func(string) string) (Dirs, error) {
	home, lnkHome := getenv("HOME"), getenv("LNK_HOME")
	if lnkHome == "" && home == "" {
		return Dirs{}, errors.New("cannot find your home folder: set HOME or LNK_HOME")
	}
	if lnkHome != "" && !filepath.IsAbs(lnkHome) {
		return Dirs{}, fmt.Errorf("cannot use LNK_HOME=%s: it must be an absolute path", lnkHome)
	}
	d := Dirs{Selected: getenv("LNK_PROFILE")}
	if lnkHome != "" {
		d.Config, d.State, d.Data = filepath.Join(lnkHome, "config"), filepath.Join(lnkHome, "state"), filepath.Join(lnkHome, "data")
	} else {
		d.Config = xdg(getenv, "XDG_CONFIG_HOME", home, ".config")
		d.State = xdg(getenv, "XDG_STATE_HOME", home, ".local/state")
		d.Data = xdg(getenv, "XDG_DATA_HOME", home, ".local/share")
	}
	d.Runtime = runtimeDir(getenv("XDG_RUNTIME_DIR"), lnkHome, home)
	return d, nil
}

func xdg(getenv func(string) string, name, home, fallback string) string {
	if dir := getenv(name); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lnk")
	}
	return filepath.Join(home, fallback, "lnk")
}

// runtimeName is the folder of the well-known sockets, which other implementations of RFC 0682 share.
const runtimeName = "radicle"

func runtimeDir(xdgRuntime, lnkHome, home string) string {
	if filepath.IsAbs(xdgRuntime) {
		return filepath.Join(xdgRuntime, runtimeName)
	}
	if lnkHome != "" {
		return filepath.Join(lnkHome, "run", runtimeName)
	}
	// Programs that cron or su started lack the variable although the folder is there.
	if dir := "/run/user/" + strconv.Itoa(os.Geteuid()); ownFolder(dir) {
		return filepath.Join(dir, runtimeName)
	}
	return filepath.Join(home, ".lnk", "run", runtimeName)
}

// Storage is the folder that holds one bare repository per project.
func (d Dirs) Storage() string { return filepath.Join(d.Data, "storage") }

// KeyFile is where the private key of a new profile goes.
func (d Dirs) KeyFile(name string) string { return filepath.Join(d.Config, "keys", name) }

// AuditLog is the append-only record of every signature.
func (d Dirs) AuditLog() string { return filepath.Join(d.State, "audit.log") }

// Tokens is the folder with a file for each token that was issued.
func (d Dirs) Tokens() string { return filepath.Join(d.State, "tokens") }

// TokenLog is the append-only record of what happened to tokens.
func (d Dirs) TokenLog() string { return filepath.Join(d.State, "tokens.log") }

// Settings is the suite's configuration file.
func (d Dirs) Settings() string { return filepath.Join(d.Config, "lnk.toml") }

// Loads is where it is remembered for how long keys were given to an agent.
func (d Dirs) Loads() string { return filepath.Join(d.State, "loaded") }

// Socket returns the path of a service's socket: <service>.sock, or <service>-<id>.sock where the service has one
// instance per peer. Where the kernel could not bind that path, the id is cut to its first 16 characters (70 bits of the
// key). Daemons, clients and the unit renderer all ask here, so they agree.
func (d Dirs) Socket(service string, id peer.ID) string {
	if id == "" {
		return filepath.Join(d.Runtime, service+".sock")
	}
	path := filepath.Join(d.Runtime, service+"-"+string(id)+".sock")
	if len(path) > maxSocketPath(runtime.GOOS) && len(id) > shortID {
		path = filepath.Join(d.Runtime, service+"-"+string(id[:shortID])+".sock")
	}
	return path
}

const shortID = 16

// maxSocketPath is the longest path in bytes that fits sockaddr_un with its terminating zero.
func maxSocketPath(goos string) int {
	if goos == "linux" {
		return 107
	}
	return 103
}
