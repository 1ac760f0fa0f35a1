// Package peer names devices: a peer id is an Ed25519 public key in text.
//
// It owns the notations of such a key (did:key multibase, did, the old radicle-link form, OpenSSH line and fingerprint)
// and the multibase encoding that project URNs share. It knows nothing of curves: whether a key may be trusted with
// anything is for keys.CheckPublicKey to say. It stays light, as git-remote-lnk starts once per push.
package peer
