// Package project owns what a project is and how it lies on disk: its identity document, its URN, the signed set of
// refs of each peer, and the bare git repository that holds them. It verifies; it opens no socket, moves no ref on its
// own and knows nothing of pushes or events, which are gitd's.
//
// An identity document is TUF root metadata whose root keys are the delegates and whose threshold is the quorum. The
// blob id of its first version, in base58, is the project's URN, so that nobody can pass off another document for it.
// Signed refs are deterministic CBOR, signed in SSHSIG form under the namespace "lnk-sigrefs":
//
//	signed-refs = {
//	  0: "lnk-sigrefs/1",
//	  1: tstr,                      ; URN of the project, "rad:z..."
//	  2: tstr,                      ; peer id of the signer, "z6Mk..."
//	  3: uint,                      ; sequence number, 1 for the first, one more each time
//	  4: oid / null,                ; commit of the signed refs before these, null for the first
//	  5: "sha1",                    ; git object format of every oid here
//	  6: { * ref-name => oid },     ; relative to the peer's namespace, "refs/heads/main"
//	  7: oid,                       ; blob of the identity document that the signer acted under
//	}
//	oid = bstr .size 20
//	ref-name = tstr                 ; below refs/heads/, refs/tags/, refs/notes/ or refs/cobs/
//
// One bare repository per project, <storage>/<URN without "rad:">.git, has these refs:
//
//	refs/rad/id                                the chain of identity documents (files 1.root.json, 2.root.json, ...)
//	refs/namespaces/<peer>/refs/heads/...      a peer's work; tags, notes and cobs likewise
//	refs/namespaces/<peer>/refs/rad/sigrefs    the peer's signed refs (files refs and signature), parents form a chain
//	refs/heads/<default branch>                the commit that a threshold of delegates agrees on
package project
