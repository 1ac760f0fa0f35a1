package activate

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// Listener is a listening UNIX stream socket.
type Listener struct {
	*net.UnixListener
	// Name is what the service manager calls the socket (FileDescriptorName= of the unit).
	Name string
	// Activated is true when the service manager handed the socket in. It is never unlinked then.
	Activated bool

	file fileID // of a path that Bind made
}

// Addr returns where callers find the socket. The kernel goes on naming it by the path where [Bind] made it.
func (l Listener) Addr() net.Addr {
	if l.file.path == "" {
		return l.UnixListener.Addr()
	}
	return &net.UnixAddr{Name: l.file.path, Net: "unix"}
}

// Close closes the listener, and removes the socket file if [Bind] made it and it is still the same one.
func (l Listener) Close() error {
	l.unlink()
	return l.UnixListener.Close()
}

// Listeners returns the sockets that systemd or launchd passed to this process, or none if it was started by other
// means. Only sockets called one of names are expected: anything else that was passed is an error that says what to
// change in the unit, as a socket that nobody serves would let its clients hang. All descriptors are close-on-exec and the
// variables of the protocol are gone afterwards, so that children inherit neither; a second call returns none.
//
// Source: sd_listen_fds(3), launch_activate_socket(3).
func Listeners(names ...string) ([]Listener, error) {
	ls, err := systemdListeners(names)
	if err != nil || len(ls) > 0 {
		return ls, err
	}
	return launchdListeners(names)
}

// systemdListeners leaves LISTEN_PID, LISTEN_FDS, close-on-exec and unsetting to go-systemd. Its listener functions do not
// serve: they drop what is not a listener without a word.
func systemdListeners(names []string) ([]Listener, error) {
	given, named := os.LookupEnv("LISTEN_FDNAMES")
	files := activation.Files(true)
	defer closeAll(files)
	if len(files) == 0 {
		return nil, nil
	}
	if n := strings.Count(given, ":") + 1; !named || n != len(files) {
		return nil, fmt.Errorf("cannot take %d sockets from the service manager: LISTEN_FDNAMES=%s does not name each of them", len(files), given)
	}
	return takeAll(files, names)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// takeAll makes a listener of a copy of each file, or of none.
func takeAll(files []*os.File, names []string) ([]Listener, error) {
	var ls []Listener
	for _, f := range files {
		l, err := take(f, names)
		if err != nil {
			for _, l := range ls {
				_ = l.Close()
			}
			return nil, fmt.Errorf("cannot take socket %s from the service manager: %w", f.Name(), err)
		}
		ls = append(ls, l)
	}
	return ls, nil
}

func take(f *os.File, names []string) (Listener, error) {
	if !slices.Contains(names, f.Name()) {
		return Listener{}, fmt.Errorf("no such name here: set FileDescriptorName=%s in its unit", strings.Join(names, " or "))
	}
	if err := checkListening(f); err != nil {
		return Listener{}, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return Listener{}, err
	}
	return Listener{UnixListener: l.(*net.UnixListener), Name: f.Name(), Activated: true}, nil
}

var errNotListening = errors.New("not a listening UNIX stream socket: its unit needs ListenStream= with a path, and Accept=no")

func checkListening(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	listening := false
	err = raw.Control(func(fd uintptr) {
		address, errName := unix.Getsockname(int(fd))
		_, isUnix := address.(*unix.SockaddrUnix)
		kind, errType := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
		accepts, errAccept := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		listening = errors.Join(errName, errType, errAccept) == nil && isUnix && kind == unix.SOCK_STREAM && accepts != 0
	})
	if err == nil && !listening {
		err = errNotListening
	}
	return err
}
