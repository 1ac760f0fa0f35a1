package launchd

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// Activate returns the listening sockets that the property list of this job names name, in launchd's order.
// launchd hands out a name once per process: a second call fails with EALREADY. The files are close-on-exec and belong
// to the caller. The error is [ErrNotManaged] for a process that launchd did not start, or for a name that it does not know.
//
// Source: launch_activate_socket(3).
func Activate(name string) ([]*os.File, error) {
	cname, err := syscall.BytePtrFromString(name)
	if err != nil {
		return nil, fmt.Errorf("cannot ask launchd for socket %q: %w", name, err)
	}
	var fds *int32
	var count uintptr
	code, _, _ := libcCall(launchActivateSocketAddr, uintptr(unsafe.Pointer(cname)), uintptr(unsafe.Pointer(&fds)), uintptr(unsafe.Pointer(&count)))
	if errno := syscall.Errno(uint32(code)); errno != 0 {
		return nil, activateError(name, errno)
	}
	defer libcCall(freeAddr, uintptr(unsafe.Pointer(fds)), 0, 0)
	return files(name, unsafe.Slice(fds, count)), nil
}

func activateError(name string, errno syscall.Errno) error {
	if errno == syscall.ESRCH || errno == syscall.ENOENT {
		return ErrNotManaged
	}
	return fmt.Errorf("cannot take socket %s from launchd: %w", name, errno)
}

// files wraps each descriptor. ForkLock keeps a child that is being started meanwhile from inheriting them.
func files(name string, fds []int32) []*os.File {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	all := make([]*os.File, 0, len(fds))
	for _, fd := range fds {
		syscall.CloseOnExec(int(fd))
		all = append(all, os.NewFile(uintptr(fd), name))
	}
	return all
}

// Both addresses are defined by the assembly of this architecture; they jump to libSystem, which the linker binds
// because of the directives. This is how golang.org/x/sys/unix calls libSystem; Go keeps the linkname for it
// (golang.org/issue/67401).
var launchActivateSocketAddr, freeAddr uintptr

//go:cgo_import_dynamic libc_launch_activate_socket launch_activate_socket "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_free free "/usr/lib/libSystem.B.dylib"

//go:linkname libcCall syscall.syscall
func libcCall(fn, a1, a2, a3 uintptr) (r1, r2 uintptr, err syscall.Errno)
