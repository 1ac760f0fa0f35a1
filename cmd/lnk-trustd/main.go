// Lnk-trustd serves the trust socket: TUF repositories that a quorum of people signs.
package main

import (
	"os"

	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/trust/trustd"
)

func main() {
	os.Exit(daemon.Main(daemon.Spec{
		Program: "lnk-trustd", Service: "trust", Short: "keeps TUF repositories, collects signatures and publishes", Start: trustd.Start,
	}))
}
