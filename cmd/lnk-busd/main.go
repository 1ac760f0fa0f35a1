// Command lnk-busd is the bus: it keeps the events of the suite and hands them to who subscribes.
package main

import (
	"os"
	"runtime/debug"

	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/services/daemon"
)

// memory is what the collector aims at, in bytes: twice what a busy bus was seen to use.
const memory = 64 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
	os.Exit(daemon.Main(busd.Spec()))
}
