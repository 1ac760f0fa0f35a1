// Package ipc is the suite's remote procedure call over UNIX sockets (RFC 0682): every message is a 32-bit big-endian
// length and one deterministically encoded CBOR item of that many bytes (RFC 8949 section 4.2.1).
//
// A method is named once, by a descriptor that also carries its argument and result types; client, server, introspection
// and command line all follow from it:
//
//	var Show = ipc.Unary[ProjectArgs, Project]{Name: "git.project", Access: ipc.Read, Short: "describe a project"}
//	var Refs = ipc.Stream[RefsArgs, RefsResult]{Name: "git.refs", Access: ipc.Read, Short: "list a peer's signed refs"}
//
//	Show.Handle(mux, s.show)                // server: func(context.Context, ProjectArgs) (Project, error)
//	result, err := Show.Call(ctx, client, ProjectArgs{Project: urn})
//	for result, err := range Show.Batch(ctx, client, args) { … } // many calls, each for a fraction of that
//
//	Refs.Handle(mux, s.refs)                // func(context.Context, RefsArgs) iter.Seq2[RefsResult, error]
//	for part, err := range Refs.Call(ctx, client, RefsArgs{Project: urn}) { … }
//
// The package owns frames, the envelope, typed errors, payload encoding, the server's and the client's side of a
// connection, and the methods ipc.describe, ipc.ping and ipc.health. It does not own sockets: where listeners come from
// and when a daemon leaves is the business of ipc/activate, who sits at the other end that of ipc/peercred.
// docs/protocol.md describes the bytes.
package ipc
