package cli

import (
	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/git"
)

// contracts lists the methods that lnk knows by type, so that lnk ipc call can name their arguments and results.
func contracts() []ipc.Method {
	return append(git.Methods(), ipc.Describe, ipc.Ping, ipc.Health)
}

// schemas lists the events whose data lnk sub can show.
func schemas() pubsub.Schemas { return pubsub.Schemas{git.Schema()} }
