// Package units is what the suite knows about systemd: the socket and service units of the daemons for a user's service
// manager, the preset, and the few systemctl calls behind "lnk service".
//
// It owns the text of the units and the files that it installs. It does not own how a daemon takes the sockets
// (ipc/activate) nor where sockets lie (services/profile). It talks to systemd only through systemctl, and only to the
// manager of the user: nothing here needs root.
//
// The units follow RFC 0682 "Application Architecture": a daemon is started when somebody connects, leaves with
// success when idle and is then not restarted except by another connection. Sockets are 0700 in a 0700 folder.
package units
