// Git-remote-lnk is the remote helper that git starts for lnk:// URLs (gitremote-helpers).
package main

import (
	"os"

	"github.com/lnk-suite/lnk/services/git/transport"
)

func main() {
	os.Exit(transport.Main(transport.Env{
		Args: os.Args[1:], Getenv: os.Getenv, In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
	}))
}
