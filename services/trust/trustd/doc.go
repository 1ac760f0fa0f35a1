// Package trustd is the engine of lnk-trustd: it keeps TUF repositories whose root is signed by a quorum of people at
// different times and places, and whose other roles are signed here, with a key that an ssh-agent holds.
//
// By the first byte of a connection it speaks CBOR RPC (the methods of services/trust) or HTTP, where it answers as
// Repository Service for TUF does, and serves what clients fetch.
//
// # A repository on disk
//
//	<state>/trust/<name>/state.json   everything that is decided; replacing this file is the one step that decides
//	<state>/trust/<name>/metadata/    what clients fetch: N.root.json, N.targets.json, N.snapshot.json, timestamp.json
//	<state>/trust/<name>/targets/     files that clients download, <sha256>.<name>
//	<state>/trust/<name>/tasks/       results of requests, for those who ask later
//
// A change first writes the new versions of files that no client looks for yet, then the state, which holds the new
// root and the new timestamp too, and then puts these two in place. What a crash leaves undone of the last step is done
// when the repository is opened next; what it leaves of the first step is written again. Nothing is published that an
// unmodified go-tuf has not accepted before (trust.Gate).
//
// The package does not decide whose signatures count (services/trust), holds no key, and does not publish events by
// itself: they are part of the state until the bus has stored them.
package trustd
