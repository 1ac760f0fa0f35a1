// Package pubsub is how the suite's services tell each other, and whoever else listens, what happened: topics, events,
// and the client that publishes and subscribes over the bus's UNIX socket (RFC 0682, "PubSub").
//
// It does not own the bus itself (pubsub/busd), nor the meaning of any event: each service defines the schemas of its
// own events and hands them to whoever prints them, as Schemas.
//
// A topic is rad.<peer>.<service>.<event>: who, which part of the suite, what happened. Names that come from outside,
// such as refs and paths, go into the data, never into a topic. A pattern is a topic in which * stands for one part
// and > at the end for one or more:
//
//	topic   = "rad" 3*("." part)
//	pattern = "rad" *("." (part / "*")) [".>"]
//	part    = 1*(ALPHA / DIGIT / "_" / "-")
//
// An event is stored by the bus before Publish returns, numbered, and kept for a week or until the buffer is full, so
// that subscribers may come later, or leave and come back. On the wire it is a NATS message whose subject is the
// topic, with the headers Nats-Msg-Id (the id) and Lnk-Schema, and as payload one deterministically encoded CBOR item
// (RFC 8949, 4.2.1); what a script publishes may be any bytes. In CDDL:
//
//	event  = { topic: tstr .size (1..255), id: visible, ? schema: visible, data: bstr .size (0..max) }
//	visible = tstr .regexp "[!-~]{1,128}"
//	max    = 1044480 ; 1 MiB less 4 KiB for the headers
//
// A schema is named after its service and event, with a version: git.updated/1. The id says that two messages are the
// same: what was stored once is not stored again for ten minutes, which makes it safe to publish again after a crash.
//
// Delivery: a subscriber gets every event that matches, in the order of their numbers, each at least once; after a
// restart of either side it goes on where it stopped. Events may be gone by then, which a *GapError says.
package pubsub
