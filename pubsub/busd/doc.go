// Package busd is the bus's server: a NATS server with JetStream inside this process, reachable only over the
// connections handed to it. It opens no port.
//
// It owns the stream RAD, its limits and its store, who may publish what, and what happens when the store cannot be
// read or the disk is full. It does not own listeners, idling or signals (services/daemon), nor what events mean
// (pubsub and the services that publish them).
//
// Each connection is pumped into an in-process one (nats-server has no UNIX listener and will not get one). In front
// of the client's bytes goes a PROXY protocol header that names the connection, so that the server's authentication
// hook can look up which process the kernel said is at the other end. This guards against mistakes and leaves an
// audit trail; a hostile process of the same user could read the store's files anyway.
//
// The stream is a buffer of events, never the record: what an event tells about can be read again from its source.
// Hence an unreadable store is set aside and the bus starts empty, saying so.
package busd
