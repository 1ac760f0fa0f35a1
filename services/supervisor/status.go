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
	Name string `cbor:"0,keyasint" json:"name"`
	// Peer is whose instance it is; empty for a service without instances.
	Peer   string `cbor:"1,keyasint" json:"peer,omitempty"`
	Socket string `cbor:"2,keyasint" json:"socket"`
	State  State  `cbor:"3,keyasint" json:"state"`
	// PID is 0 unless the service runs.
	PID int `cbor:"4,keyasint" json:"pid"`
	// Since is when the state began.
	Since time.Time `cbor:"5,keyasint" json:"since"`
	// Restarts counts the starts after failures.
	Restarts int `cbor:"6,keyasint" json:"restarts"`
	// Error says why the service failed last; empty after a run that ended well.
	Error string `cbor:"7,keyasint" json:"error,omitempty"`
}
