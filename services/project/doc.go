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
// Each step of the signing of a next version is recorded, in the form in which it is published as well:
//
//	signing-step = {
//	  0: "pending" / "signed" / "replaced" / "cancelled" / "published",
//	  1: bstr .size 20,             ; the 20 bytes of the project's URN
//	  2: tstr,                      ; peer id of whose daemon took the step
//	  3: uint,                      ; version of the document
//	  4: bstr .size 32,             ; SHA-256 of its canonical form, which is what delegates sign
//	  5: tstr,                      ; when it expires (RFC 3339)
//	  6: tstr,                      ; when it was proposed, or put in the place of another
//	  ? 7: tstr,                    ; "signed": peer id of who has
//	  8: uint,                      ; delegates of this version who have signed so far
//	  9: uint,                      ; how many of them it takes
//	}
//
// One bare repository per project, <storage>/<URN without "rad:">.git, has these refs:
//
//	refs/rad/id                                the chain of identity documents (files 1.root.json, 2.root.json, ...)
//	refs/rad/signing                           the record of signing them: each commit holds a step (file step) and what
//	                                           waits for signatures after it (file root.json, if something does)
//	refs/namespaces/<peer>/refs/heads/...      a peer's work; tags, notes and cobs likewise
//	refs/namespaces/<peer>/refs/rad/sigrefs    the peer's signed refs (files refs and signature), parents form a chain
//	refs/heads/<default branch>                the commit that a threshold of delegates agrees on
//
// What waits for signatures changes by one transaction that moves refs/rad/signing from the commit that was looked at, so
// of two writers one is told to look again. The transaction that completes a version moves refs/rad/id first, then the
// default branch, then the record: if the end of the machine cuts it off, the record waits for a version that is there
// (Desk.Torn), and the next step completes it.
package project
