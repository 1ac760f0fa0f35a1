// Package git is the contract of gitd: the methods that its socket answers, and the event that every updated ref becomes.
// The daemon is services/git/gitd; git's own protocol on the same socket is services/git/transport,
// SSH services/git/gitd/sshd.
//
// The event is published on the topic rad.<peer>.git.updated with the schema git.updated/1 (RFC 0682, git):
//
//	updated = {
//	  0: oid,   ; before; all zeros for a new ref
//	  1: oid,   ; after; all zeros for a deleted one
//	  2: bstr,  ; namespace: the 20 bytes of the project's URN
//	  3: tstr,  ; ref, relative to the peer's namespace: "refs/heads/main"
//	}
//	oid = bstr .size 20 / bstr .size 32
//
// Steps of the signing of an identity document are published on rad.<peer>.git.identity.<what> with the schema
// git.identity/1, in the form in which services/project records them.
package git
