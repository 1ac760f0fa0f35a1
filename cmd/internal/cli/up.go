package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/supervisor"
)

type upArgs struct {
	Idle time.Duration `json:"idle" help:"how long (<TIME>) a daemon without work stays"`
	TCP  []string      `json:"tcp" help:"listen on TCP too: <SERVICE=ADDRESS>, for a service that has such a socket"`
}

func upCommand(a *app) *cobra.Command {
	return action[upArgs]{
		name:  "up",
		short: "listen on the sockets and start daemons on demand, in the foreground",
		long: `Up does what a service manager would: it listens on the sockets of the bus, of trustd and of every profile's gitd, starts a
daemon when somebody connects, listens again when the daemon leaves, and starts it anew when it crashes. Once every socket listens it
prints the line "ready" on standard output; what the daemons log goes to standard error. The sockets of a profile that is made
meanwhile appear by themselves.

SIGTERM or an interrupt ends lnk up and everything that it started, with success. Only one lnk up can run per runtime folder.
The daemons are the programs beside lnk, else those in PATH.`,
		example:  "  lnk up --idle 1m &",
		cannot:   "bring the sockets up",
		exits:    []int{exitConflict},
		defaults: upArgs{Idle: 15 * time.Minute},
		run:      a.up,
	}.command(a)
}

func (a *app) up(ctx context.Context, args upArgs) error {
	dirs, err := a.dirs()
	if err != nil {
		return err
	}
	gateways, err := tcpGateways(dirs, args.TCP)
	if err != nil {
		return err
	}
	if args.Idle <= 0 {
		return ipc.Errorf(ipc.BadRequest, "--idle must be more than zero")
	}
	list, err := a.sockets(dirs, args.Idle)
	if err != nil {
		return err
	}
	output, _ := a.Stderr.(*os.File) // nil in tests: what the daemons log is dropped
	log := slog.New(slog.NewTextHandler(a.Stderr, nil))
	renewing, stop := context.WithCancel(ctx)
	var timers sync.WaitGroup
	timers.Go(func() { a.renewTrust(renewing, dirs, log) })
	defer timers.Wait()
	defer stop()
	return supervisor.Run(ctx, supervisor.Config{
		Dirs:     dirs,
		Sockets:  list,
		Gateways: gateways,
		Env:      append(a.childEnvironment(), "LNK_AGENT="+a.Getenv("SSH_AUTH_SOCK")), // see trustd.AgentVariable
		Output:   output,
		Ready:    func() { fmt.Fprintln(a.Stdout, "ready") },
		Version:  version(),
		Log:      log,
	})
}

// sockets returns the function that lists what to listen on: the bus, then the others, as they publish on the bus.
func (a *app) sockets(dirs profile.Dirs, idle time.Duration) (func() ([]supervisor.Socket, error), error) {
	busd, err := a.program("lnk-busd")
	if err != nil {
		return nil, err
	}
	gitd, err := a.program("lnk-gitd")
	if err != nil {
		return nil, err
	}
	trustd, err := a.program("lnk-trustd")
	if err != nil {
		return nil, err
	}
	idleFlag := "--idle=" + idle.String()
	return func() ([]supervisor.Socket, error) {
		list := []supervisor.Socket{
			{Name: "bus", Service: "bus", Path: dirs.Socket("bus", ""), Program: busd, Args: []string{idleFlag}},
			{Name: "trust", Service: "trust", Path: dirs.Socket("trust", ""), Program: trustd, Args: []string{idleFlag}},
		}
		profiles, err := dirs.Profiles()
		for _, p := range profiles {
			list = append(list, supervisor.Socket{
				Name: "gitd", Service: "gitd", Peer: p.Peer, Path: dirs.Socket("gitd", p.Peer),
				Program: gitd, Args: []string{idleFlag, "--peer=" + string(p.Peer)},
			})
		}
		return list, err
	}, nil
}

// program finds one of the suite's programs: beside lnk, else in PATH.
func (a *app) program(name string) (string, error) {
	if a.Executable != "" {
		beside := filepath.Join(filepath.Dir(a.Executable), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) || err != nil {
		return "", ipc.Errorf(ipc.NotFound, "%s is neither beside lnk nor in PATH", name).WithHint("install the whole suite: make install")
	}
	return filepath.Abs(path)
}
