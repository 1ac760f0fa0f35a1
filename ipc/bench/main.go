// Command bench compares ipc with the transports that its users know and with the floor: what a socket costs without
// any protocol. Every transport echoes the same payload from a process of its own; rounds are interleaved, so that a
// machine that slows down slows everybody; what is printed are medians, and the medians of the ratios to raw of the same
// round or, for latencies, turn.
//
// It is a module of its own, so that the suite does not depend on what it is compared with.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"time"
)

func main() {
	serve := flag.String("serve", "", "be the server of this `transport` (the program calls itself)")
	socket := flag.String("socket", "", "the server's `path`")
	rounds := flag.Int("rounds", 21, "how many rounds; latencies are taken in turns of their own")
	slice := flag.Duration("slice", 100*time.Millisecond, "how long each measurement of a rate takes")
	flag.Parse()
	log.SetFlags(0)
	if *serve != "" {
		log.Fatal(serveTransport(*serve, *socket))
	}
	table, err := run(*rounds, *slice)
	if err != nil {
		log.Fatal("bench: ", err)
	}
	fmt.Fprint(os.Stdout, table)
}
