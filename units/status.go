package units

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// The states of a service.
const (
	Sleeping = "sleeping" // the socket listens, no daemon runs
	Running  = "running"  // a daemon runs
	Failed   = "failed"   // the daemon crashed and waits to be started again, or systemd gave it up
	Stopped  = "stopped"  // nobody listens
)

// A Status is the state of one service as the manager knows it.
type Status struct {
	// Name is bus, or gitd-<peer>.
	Name string `cbor:"0,keyasint" json:"name"`
	// Unit is the name of the socket unit.
	Unit string `cbor:"1,keyasint" json:"unit"`
	// Socket is the path it listens on.
	Socket string `cbor:"2,keyasint" json:"socket"`
	// State is one of Sleeping, Running, Failed and Stopped.
	State string `cbor:"3,keyasint" json:"state"`
	// PID is the daemon's process, 0 where none runs.
	PID int `cbor:"4,keyasint" json:"pid"`
	// Restarts counts the crashes since the daemon was last started by a connection.
	Restarts int `cbor:"5,keyasint" json:"restarts"`
	// Result is systemd's word for how the daemon last ended: success, exit-code, signal, ….
	Result string `cbor:"6,keyasint" json:"result"`
}

// Status lists the services whose sockets the manager has loaded.
func (m *Manager) Status(ctx context.Context) ([]Status, error) {
	out, err := m.systemctl(ctx, append([]string{"show", "--all", "--property=Id,ActiveState,SubState,Listen,MainPID,NRestarts,Result", "--"}, loaded...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the state of the services: %w", err)
	}
	units := parseShow(out)
	var all []Status
	for _, socket := range units {
		stem, isSocket := strings.CutSuffix(socket["Id"], ".socket")
		if !isSocket || socket["Listen"] == "" {
			continue
		}
		all = append(all, newStatus(stem, socket, find(units, stem+".service")))
	}
	return all, nil
}

func newStatus(stem string, socket, service map[string]string) Status {
	name := strings.Replace(strings.TrimPrefix(stem, "lnk-"), "gitd@", "gitd-", 1)
	path, _, _ := strings.Cut(socket["Listen"], " (")
	if name == "busd" || name == "trustd" { // their sockets are called after what they serve
		name = strings.TrimSuffix(name, "d")
	}
	s := Status{Name: name, Unit: socket["Id"], Socket: path, State: state(socket, service), Result: service["Result"]}
	s.PID, _ = strconv.Atoi(service["MainPID"])
	s.Restarts, _ = strconv.Atoi(service["NRestarts"])
	return s
}

func state(socket, service map[string]string) string {
	switch {
	case socket["ActiveState"] == "failed" || service["ActiveState"] == "failed" || service["SubState"] == "auto-restart":
		return Failed
	case service["MainPID"] != "" && service["MainPID"] != "0":
		return Running
	case socket["ActiveState"] == "active":
		return Sleeping
	}
	return Stopped
}

// parseShow reads the output of systemctl show: blocks of NAME=value lines with an empty line between them.
func parseShow(out string) []map[string]string {
	var units []map[string]string
	for block := range strings.SplitSeq(out, "\n\n") {
		unit := map[string]string{}
		for line := range strings.Lines(block) {
			if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
				unit[name] = value
			}
		}
		units = append(units, unit)
	}
	return units
}

func find(units []map[string]string, id string) map[string]string {
	for _, unit := range units {
		if unit["Id"] == id {
			return unit
		}
	}
	return nil
}
