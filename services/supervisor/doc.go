// Package supervisor is the embedded activator behind "lnk up", for machines without a service manager for users.
//
// It does what systemd does with the units of this suite: it listens on the well-known sockets, starts a daemon when
// somebody connects and passes it the socket by the protocol of sd_listen_fds(3), listens again when the daemon leaves
// with success, and starts it again, paced, when it fails. It never accepts from a daemon's socket, so a caller waits in
// the queue until an instance takes it, whatever happens to instances before.
//
// It does not know what a daemon does, and installs nothing. The socket up.sock beside the others answers what runs
// ([Status]); a second supervisor on the same folder is refused by it. When the supervisor is killed, the kernel tells its
// daemons to leave (Linux).
package supervisor
