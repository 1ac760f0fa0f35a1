package cli

import (
	"slices"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/supervisor"
	"github.com/lnk-suite/lnk/services/trust"
)

// contracts lists the methods that lnk knows by type, so that lnk ipc call can name their arguments and results.
func contracts() []ipc.Method {
	return append(slices.Concat(git.Methods(), trust.Methods(), supervisor.Methods()), ipc.Describe, ipc.Ping, ipc.Health)
}

// schemas lists the events whose data lnk sub can show.
func schemas() pubsub.Schemas {
	return pubsub.Schemas{git.Schema(), git.IdentitySchemaOf(), trust.EventSchemaOf()}
}
