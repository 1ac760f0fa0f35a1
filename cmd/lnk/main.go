// Command lnk is the one command that people type; see package cli.
package main

import (
	"context"
	"os"

	"github.com/lnk-suite/lnk/cmd/internal/cli"
)

func main() {
	executable, _ := os.Executable() // empty: the programs beside lnk are looked up in PATH
	state := cli.State{
		Stdin:      os.Stdin,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		Getenv:     os.Getenv,
		Environ:    os.Environ,
		Executable: executable,
	}
	os.Exit(cli.Main(context.Background(), state, os.Args[1:]))
}
