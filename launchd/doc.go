// Package launchd is how a daemon gets the sockets that macOS' service manager listens on for it, without cgo.
//
// It does not own the property lists that name the sockets (launchd/plist) nor what happens on a connection
// (ipc/activate, which imports it: so it imports nothing of ours).
package launchd
