// Lnk-trustd serves the trust socket: TUF repositories that a quorum of people signs.
package main

import (
	"os"
	"runtime/debug"

	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/trust/trustd"
)

func main() {
	// Whoever judges a snapshot of thousands of roles leaves 30 MB of garbage, and next to nothing stays: collecting it less
	// often saves a quarter of the time, and the limit keeps the whole process below 60 MB all the same.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(40 << 20)
	os.Exit(daemon.Main(daemon.Spec{
		Program: "lnk-trustd", Service: "trust", Short: "keeps TUF repositories, collects signatures and publishes", Start: trustd.Start,
	}))
}
