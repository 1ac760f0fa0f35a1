package ipc

import (
	"context"
	"os"

	"github.com/lnk-suite/lnk/ipc/cddl"
)

// The methods that every socket answers.
var (
	// Describe tells what a socket offers, for people and for programs written without our types.
	Describe = Unary[Empty, Description]{Name: "ipc.describe", Access: Read, Short: "what this socket offers"}
	// Ping answers at once; its time is the cost of a call.
	Ping = Unary[Empty, Empty]{Name: "ipc.ping", Access: Read, Short: "answer at once", Inline: true}
	// Health tells whether the service can do its work.
	Health = Unary[Empty, HealthReport]{Name: "ipc.health", Access: Read, Short: "whether the service can do its work"}
)

// A Description is what a socket says about itself.
type Description struct {
	Service string              `cbor:"0,keyasint" json:"service" help:"name of the daemon, without lnk-"`
	Version string              `cbor:"1,keyasint" json:"version" help:"version of the daemon"`
	CDDL    string              `cbor:"2,keyasint" json:"cddl" help:"the contract, this text included"`
	Methods []MethodDescription `cbor:"3,keyasint" json:"methods" help:"sorted by name"`
	Limits  LimitsDescription   `cbor:"4,keyasint" json:"limits" help:"per connection"`
}

// A MethodDescription is one line of a Description.
type MethodDescription struct {
	Name   string `cbor:"0,keyasint" json:"name" help:"service.method"`
	Stream bool   `cbor:"1,keyasint" json:"stream" help:"answers with any number of items"`
	Access string `cbor:"2,keyasint" json:"access" help:"read or change" cddl:"\"read\" / \"change\""`
	Short  string `cbor:"3,keyasint" json:"short" help:"one line about it"`
}

// LimitsDescription are the limits of a connection.
type LimitsDescription struct {
	MaxFrame    uint64 `cbor:"0,keyasint" json:"max_frame" help:"bytes of a message; larger ones are answered with too large"`
	MaxSkip     uint64 `cbor:"1,keyasint" json:"max_skip" help:"bytes of a message; larger ones end the connection"`
	MaxInFlight uint64 `cbor:"2,keyasint" json:"max_in_flight" help:"requests without final answer"`
}

// A HealthReport says how a service is.
type HealthReport struct {
	Healthy bool   `cbor:"0,keyasint" json:"healthy" help:"the service can do its work"`
	Reason  string `cbor:"1,keyasint,omitempty" json:"reason,omitempty" help:"why not"`
	Hint    string `cbor:"2,keyasint,omitempty" json:"hint,omitempty" help:"what to do about it"`
	Version string `cbor:"3,keyasint" json:"version" help:"version of the daemon"`
	PID     uint64 `cbor:"4,keyasint" json:"pid" help:"process id of the daemon"`
}

func (x *Mux) addIntrospection() {
	Describe.Handle(x, func(ctx context.Context, _ Empty) (Description, error) {
		d := x.describe()
		if k, ok := ctx.Value(connKey{}).(*serverConn); ok {
			d.Limits = k.limits.description()
		}
		return d, nil
	})
	Ping.Handle(x, func(context.Context, Empty) (Empty, error) { return Empty{}, nil })
	Health.Handle(x, func(ctx context.Context, _ Empty) (HealthReport, error) {
		report := HealthReport{Healthy: true, Version: x.version, PID: uint64(os.Getpid())}
		if x.health == nil {
			return report, nil
		}
		if err := x.health(ctx); err != nil {
			report.Healthy, report.Reason, report.Hint = false, err.Error(), HintOf(err)
		}
		return report, nil
	})
}

func (x *Mux) description() Description {
	d := Description{Service: x.service, Version: x.version}
	var methods []cddl.Method
	for _, m := range x.Methods() {
		d.Methods = append(d.Methods, MethodDescription{m.Name, m.Stream, m.Access.String(), m.Short})
		methods = append(methods, cddl.Method{
			Name: m.Name, Stream: m.Stream, Access: m.Access.String(), Short: m.Short, Long: m.Long, Args: m.Args, Result: m.Result,
		})
	}
	d.CDDL = cddl.Service(x.service, methods)
	return d
}
