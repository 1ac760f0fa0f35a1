// Lnk-gitd serves the git socket of one peer.
package main

import (
	"os"

	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/git/gitd"
)

func main() {
	os.Exit(daemon.Main(daemon.Spec{
		Program: "lnk-gitd", Service: "gitd", Short: "serves git over a UNIX socket, signs what is pushed", PerPeer: true, Start: gitd.Start,
	}))
}
