package launchd

import "errors"

// ErrNotManaged says that launchd has no socket for this process: it did not start it, or the property list names none
// like that. The caller then listens by other means.
var ErrNotManaged = errors.New("launchd has no such socket for this process")
