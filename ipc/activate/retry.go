package activate

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// shortages pass by themselves, or concern one caller only: no reason to give the listener up.
var shortages = []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED, unix.EINTR}

func retryable(err error) bool {
	return slices.ContainsFunc(shortages, func(target error) bool { return errors.Is(err, target) })
}
