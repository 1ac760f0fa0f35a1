// Package activate gives a daemon its listeners and decides when it may leave.
//
// It is the one package that knows where listeners come from: systemd or launchd ([Listeners]), or a path ([Bind]). It
// owns accepting, the refusal of foreign users, the account of what is going on ([Activity]), and the one order in which
// a daemon leaves so that no request is lost ([Server.Serve]). It knows no protocol: a handler gets each connection.
//
// # Leaving
//
// A daemon leaves when nothing was going on for its idle time, or when it is told to. A connection alone is nothing
// going on, unless the server is made so ([Server.HoldConns]). Then, in this order:
//
//  1. Stop accepting and wait until the accept loops have ended. If somebody came meanwhile, resume.
//  2. Close the listeners. The service manager has its own copies: whoever connects from now on waits in the queue and
//     is served by the next instance. A socket that was handed in is never unlinked.
//  3. Close the channel of [Conn.Draining], so that handlers tell their clients.
//  4. Shut down the reading side of every connection, and wait for the handlers. What was written before can still be
//     read and is served; a later write fails at the client with EPIPE, so it knows that the request was not executed and
//     sends it again.
//
// Nothing is ambiguous to a client then: a request was answered, or it was provably not executed.
package activate
