// Package keys makes, holds back and checks device keys.
//
// It owns everything that is done with an Ed25519 device key: verification by ZIP-215 rules, admission of public keys,
// signatures through ssh-agent, the SSHSIG form with the suite's namespaces, key files, and the audit log of signatures.
// It does not name keys (peer does), decide who may speak for a project (trust and project do), or keep a private key:
// only Generate and Add ever see one, in the process of the person who typed the passphrase.
package keys
