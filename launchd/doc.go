// Package launchd is what the suite knows about macOS' service manager: the property lists of the daemons, and how a
// daemon gets the sockets that launchd listens on for it, without cgo.
//
// It owns the text of the property lists and the call of launch_activate_socket(3). It does not own where files and
// sockets lie (services/profile), what happens on a connection (ipc/activate), or loading the jobs (launchctl, through
// the command). It imports nothing of ours, so that ipc/activate may import it.
package launchd
