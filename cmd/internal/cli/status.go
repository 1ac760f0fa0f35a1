package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/supervisor"
	"github.com/lnk-suite/lnk/services/trust"
	"github.com/lnk-suite/lnk/units"
)

// statusResult is what is known about the suite's services.
type statusResult struct {
	Manager  string         `json:"manager" cbor:"0,keyasint"` // who listens: "lnk up", "systemd", or "" for nobody
	Services []serviceState `json:"services" cbor:"1,keyasint"`
	Events   string         `json:"events" cbor:"2,keyasint"`   // the folder of the bus's stored events
	Projects string         `json:"projects" cbor:"3,keyasint"` // the folder of the repositories

	Warnings []trust.Warning `json:"warnings" cbor:"4,keyasint"` // what people should attend to
}

type serviceState struct {
	Name     string `json:"name" cbor:"0,keyasint"` // bus, or gitd-<peer>
	Socket   string `json:"socket" cbor:"1,keyasint"`
	State    string `json:"state" cbor:"2,keyasint"` // sleeping, running or failed
	PID      int    `json:"pid" cbor:"3,keyasint"`   // 0 unless it runs
	Restarts int    `json:"restarts" cbor:"4,keyasint"`
	Error    string `json:"error,omitempty" cbor:"5,keyasint,omitempty"` // why it failed last
}

func statusCommand(a *app) *cobra.Command {
	return verb[none, statusResult]{
		name:  "status",
		short: "show the services: sleeping, running or failed",
		long: `Status shows each service's socket and whether its daemon sleeps (somebody who connects starts it), runs, or failed (it is
started again). It warns of what people must sign: roles of trusted metadata that expire within 30 days, and what waits for signatures
there or in a project. It asks whoever listens on the sockets, lnk up or systemd, and never a daemon: looking wakes nobody.`,
		cannot: "show the status",
		exits:  []int{exitUnavailable, exitDeadline},
		run:    a.status,
		text:   printStatus,
	}.command(a)
}

func printStatus(w io.Writer, r statusResult) error {
	if err := printServices(w, r); err != nil {
		return err
	}
	for _, warning := range r.Warnings {
		if _, err := fmt.Fprintf(w, "warning: %s (%s)\n", warning.Text, warning.Hint); err != nil {
			return err
		}
	}
	return nil
}

func printServices(w io.Writer, r statusResult) error {
	if len(r.Services) == 0 {
		_, err := io.WriteString(w, "nothing listens: run lnk up, or lnk service install\n")
		return err
	}
	err := table(w, "SERVICE\tSTATE\tPID\tSOCKET", func(row func(...any)) {
		for _, s := range r.Services {
			row(s.Name, s.State, pidOrDash(s.PID), s.Socket)
			if s.Error != "" {
				row("  " + s.Error)
			}
		}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nevents are in %s, projects in %s\n", r.Events, r.Projects)
	return err
}

func pidOrDash(pid int) string {
	if pid == 0 {
		return "-"
	}
	return strconv.Itoa(pid)
}

func (a *app) status(ctx context.Context, _ none) (statusResult, error) {
	dirs, err := a.dirs()
	if err != nil {
		return statusResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	r := statusResult{Services: []serviceState{}, Events: filepath.Join(dirs.State, "bus"), Projects: dirs.Storage(), Warnings: warnings(ctx, dirs, time.Now())}
	states, err := supervisor.Status(ctx, dirs)
	switch {
	case err == nil:
		r.Manager, r.Services = "lnk up", fromUp(states)
	case !errors.Is(err, supervisor.ErrNotRunning):
		return statusResult{}, err
	}
	if manager, ok := a.installedUnits(); ok && r.Manager == "" {
		r.Manager = "systemd"
		r.Services, err = statusOfUnits(ctx, manager)
		return r, ofManager(err)
	}
	return r, nil
}

// warnings lists what trusted metadata and projects want from people, from files that are there for whoever only looks.
func warnings(ctx context.Context, dirs profile.Dirs, now time.Time) []trust.Warning {
	list := []trust.Warning{}
	agendas, err := trust.ReadAgendas(filepath.Join(dirs.State, "trust"))
	for _, a := range agendas {
		list = append(list, a.Warnings(now)...)
	}
	if err != nil {
		list = append(list, trust.Warning{Text: err.Error(), Hint: "lnk trust status"})
	}
	desks, err := project.Store{Dir: dirs.Storage()}.Waiting(ctx)
	for _, d := range desks {
		pending := d.Pending()
		text := fmt.Sprintf("identity version %d of project %q %s", pending.Version, d.Identity.Name, pending.Standing())
		list = append(list, trust.Warning{Repository: string(d.Identity.URN), Role: pending.Role, Text: text, Hint: "lnk project show " + string(d.Identity.URN)})
	}
	if err != nil {
		list = append(list, trust.Warning{Text: err.Error(), Hint: "lnk project list"})
	}
	return list
}

// statusTimeout bounds the question to lnk up, which answers from memory, or to systemd.
const statusTimeout = 5 * time.Second

func fromUp(states []supervisor.ServiceState) []serviceState {
	list := make([]serviceState, 0, len(states))
	for _, s := range states {
		name := s.Name
		if s.Peer != "" {
			name += "-" + s.Peer
		}
		list = append(list, serviceState{name, s.Socket, string(s.State), s.PID, s.Restarts, s.Error})
	}
	return list
}

func statusOfUnits(ctx context.Context, manager *units.Manager) ([]serviceState, error) {
	states, err := manager.Status(ctx)
	list := make([]serviceState, 0, len(states))
	for _, s := range states {
		list = append(list, serviceState{s.Name, s.Socket, s.State, s.PID, s.Restarts, failure(s)})
	}
	return list, err
}

func failure(s units.Status) string {
	if s.State != units.Failed {
		return ""
	}
	return s.Result
}

// installedUnits returns the service manager if our units are installed, that of the session before that of the user.
func (a *app) installedUnits() (*units.Manager, bool) {
	for _, runtime := range []bool{true, false} {
		if manager, err := units.NewManager(a.Environ(), runtime); err == nil && manager.Installed() {
			return manager, true
		}
	}
	return nil, false
}
