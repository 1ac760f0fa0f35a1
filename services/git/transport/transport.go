// Package transport speaks git's native request line to gitd: its URLs, the line itself, and the remote helper
// git-remote-lnk, which lets stock git use lnk:// (gitremote-helpers, capability "connect"). It also connects ssh.
//
// It is light on purpose, as git starts the helper for every command: no CBOR, no ssh, no NATS. What a project or a
// peer is, and whether one may be written to, is decided by gitd.
package transport
