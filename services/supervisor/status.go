package supervisor

import "time"

// State is what a service does.
type State string

// A service sleeps until somebody connects, runs, or could not be started or failed; it is then tried again.
const (
	Sleeping State = "sleeping"
	Running  State = "running"
	Failed   State = "failed"
)

// ServiceState is one line of "lnk status".
type ServiceState struct {
	Name     string    `cbor:"0,keyasint" json:"name" help:"the daemon without lnk-"`
	Peer     string    `cbor:"1,keyasint,omitempty" json:"peer,omitempty" help:"whose instance it is, if it has instances"`
	Socket   string    `cbor:"2,keyasint" json:"socket" help:"path"`
	State    State     `cbor:"3,keyasint" json:"state" help:"sleeping, running or failed"`
	PID      int       `cbor:"4,keyasint" json:"pid" help:"process id; 0 unless it runs"`
	Since    time.Time `cbor:"5,keyasint" json:"since" help:"when the state began"`
	Restarts int       `cbor:"6,keyasint" json:"restarts" help:"starts after failures"`
	Error    string    `cbor:"7,keyasint,omitempty" json:"error,omitempty" help:"why it failed last; empty after a run that ended well"`
}
