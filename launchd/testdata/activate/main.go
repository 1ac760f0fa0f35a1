// Program activate is cross-built by a test, which looks at what it imports from libSystem.
package main

import (
	"fmt"
	"os"

	"github.com/lnk-suite/lnk/launchd"
)

func main() {
	files, err := launchd.Activate("bus")
	fmt.Fprintln(os.Stderr, len(files), err)
}
