// Package client follows repositories as The Update Framework prescribes (specification 1.0.34, section 5): from a first root
// document that its user trusts it finds the current metadata, refuses what is badly signed, expired, older than what was seen
// before or not what it should be, and fetches files that the metadata vouches for.
//
// The repositories may be anybody's: keys are Ed25519, RSA or ECDSA, members that nobody here knows are kept and signed over,
// and key ids are only names, as in other clients; a quorum counts distinct keys, whatever they are called. A document is read
// by the exact names of its members and refused if it gives one twice, so that no two readers see different things in it.
//
// What is trusted is kept in a [Store], and replaced only by what has passed every check. The package does not decide which
// first root to trust, holds no key and publishes nothing.
package client
