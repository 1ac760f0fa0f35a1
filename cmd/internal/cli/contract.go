package cli

import "github.com/lnk-suite/lnk/ipc"

// contracts lists the methods that lnk knows by type, so that lnk ipc call can name their arguments and results.
func contracts() []ipc.Method {
	return []ipc.Method{ipc.Describe, ipc.Ping, ipc.Health}
}
