package ipc

import "strconv"

// A Code says what kind of thing went wrong. Codes cross the wire; the list is append-only, and a number never changes its
// meaning. A Code is an error itself, so that errors.Is(err, ipc.NotFound) holds in the daemon and in its client.
type Code uint32

// The codes of the suite (docs/protocol.md says when each is sent).
const (
	Internal          Code = 1 + iota // a defect or a failure in the daemon; crosses without detail
	BadRequest                        // the request does not decode, or its arguments make no sense
	UnknownMethod                     // no such method on this socket
	NotFound                          // the thing asked for does not exist
	AlreadyExists                     // the thing to be made exists
	Conflict                          // somebody else was faster, or the state does not allow it now
	Unavailable                       // the daemon, or something that it needs, cannot be reached
	NoKey                             // a signature is needed and no agent makes it
	PermissionDenied                  // the caller may not do this
	Cancelled                         // the caller took the call back
	DeadlineExceeded                  // the call's time is up
	TooLarge                          // a message or a thing in it exceeds a limit
	Corrupt                           // stored or received data fails its checks
	Unsupported                       // known, and not possible here
	ResourceExhausted                 // a quota, a disk or a queue is full
	GoingAway                         // this instance leaves; what it refused was not executed
)

var codeNames = [...]string{
	Internal:          "internal error",
	BadRequest:        "bad request",
	UnknownMethod:     "unknown method",
	NotFound:          "not found",
	AlreadyExists:     "already exists",
	Conflict:          "conflict",
	Unavailable:       "unavailable",
	NoKey:             "no key",
	PermissionDenied:  "permission denied",
	Cancelled:         "cancelled",
	DeadlineExceeded:  "deadline exceeded",
	TooLarge:          "too large",
	Corrupt:           "corrupt",
	Unsupported:       "unsupported",
	ResourceExhausted: "resource exhausted",
	GoingAway:         "going away",
}

// String returns the code's name in lower case, or "error N" for a number that this version does not know.
func (c Code) String() string {
	if c >= Internal && int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "error " + strconv.FormatUint(uint64(c), 10)
}

// Error makes a Code usable with errors.Is, and as an error when there is nothing to add to it.
func (c Code) Error() string { return c.String() }
