// Package plist renders the property lists by which launchd runs the daemons, one per socket.
//
// It owns their text. It does not own loading them, which is launchctl's, nor how a daemon gets its socket: that is package
// launchd, which daemons link and which must stay small.
//
// The lists follow RFC 0682 "Application Architecture": a daemon is started when somebody connects, and there is no
// KeepAlive, so one that left is not started except by another connection. Sockets are 0700.
package plist
