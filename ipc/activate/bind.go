package activate

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/peercred"
)

// InUseError says that somebody listens on the path already.
type InUseError struct {
	Path string
	// PID is who began to listen: the daemon, lnk up, or the service manager. 0 where unknown.
	PID int32
}

func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("cannot listen on %s: another process already does", e.Path)
	}
	return fmt.Sprintf("cannot listen on %s: process %d already does", e.Path, e.PID)
}

// maxPath is the longest path in bytes that fits sockaddr_un with its terminating zero: 107 on Linux, 103 on macOS.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// Bind listens on path with mode 0700. It makes the folder with mode 0700, or demands that it is ours and closed to
// others (RFC 0682, IPC). A socket file that nobody listens on any more and that is ours is replaced; one that somebody
// listens on is left alone, and the error is an [*InUseError]. The file appears when callers can connect, never earlier. The
// name of the listener is the file name without ".sock".
func Bind(path string) (Listener, error) {
	if len(path) > maxPath {
		return Listener{}, ipc.Errorf(ipc.BadRequest, "cannot listen on %s: the path has %d bytes and the system allows %d", path, len(path), maxPath).
			WithHint("set XDG_RUNTIME_DIR to a shorter path")
	}
	dir := filepath.Dir(path)
	if err := prepareDir(dir); err != nil {
		return Listener{}, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return Listener{}, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	defer unlock()
	l, err := listen(hidden(path))
	if err != nil {
		return Listener{}, err
	}
	if err := l.moveTo(path); err != nil {
		_ = l.Close()
		return Listener{}, err
	}
	base := filepath.Base(path)
	l.Name = base[:len(base)-len(filepath.Ext(base))]
	return l, nil
}

// hidden is where the socket of path is until somebody listens: between bind and listen the kernel refuses who connects. The
// name is as long as the other, as that may be all that fits, and only one process at a time uses it, the one that has
// locked the folder.
func hidden(path string) string { return path[:len(path)-1] + "~" }

// listen makes the socket at path, in place of one that was left behind there.
func listen(path string) (Listener, error) {
	if err := checkPath(path); err != nil {
		return Listener{}, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Listener{}, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return Listener{}, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // it would remove whatever lies there by then
	err = os.Chmod(path, 0o700)
	info, errStat := os.Lstat(path)
	if err := errors.Join(err, errStat); err != nil {
		_ = errors.Join(l.Close(), os.Remove(path))
		return Listener{}, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	return Listener{UnixListener: l, file: fileID{path, info}}, nil
}

// moveTo gives the socket the path where callers look for it, in place of one that was left behind there.
func (l *Listener) moveTo(path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if err := os.Rename(l.file.path, path); err != nil {
		return fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	l.file.path = path
	return nil
}

// fileID tells our socket file from one that somebody made at the same path later.
type fileID struct {
	path string
	info fs.FileInfo
}

func (l Listener) unlink() {
	if l.file.path == "" {
		return
	}
	if now, err := os.Lstat(l.file.path); err == nil && os.SameFile(now, l.file.info) {
		_ = os.Remove(l.file.path)
	}
}

// checkPath returns an error unless there is nothing at path, or a socket of ours that nobody listens on.
func checkPath(path string) error {
	c, err := net.DialTimeout("unix", path, probeTime)
	if err == nil {
		defer c.Close()
		cred, _ := peercred.Of(c.(*net.UnixConn)) // without it the message names no process
		return &InUseError{Path: path, PID: cred.PID}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, os.ErrDeadlineExceeded) { // its queue is full
		return &InUseError{Path: path}
	}
	info, errStat := os.Lstat(path)
	switch {
	case errStat != nil:
		return fmt.Errorf("cannot listen on %s: %w", path, errStat)
	case info.Mode().Type() != fs.ModeSocket:
		return ipc.Errorf(ipc.Conflict, "cannot listen on %s: the file there is not a socket", path).WithHint("move it away")
	case owner(info) != os.Geteuid():
		return ipc.Errorf(ipc.PermissionDenied, "cannot listen on %s: the socket there belongs to uid %d", path, owner(info)).WithHint("rm " + path)
	case !errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("cannot listen on %s: cannot find out whether the socket there is in use: %w", path, err)
	}
	return nil
}

const probeTime = 2 * time.Second

// prepareDir makes dir, or checks that nobody else can enter it or put another in its place.
func prepareDir(dir string) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	if err := checkParent(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return checkDir(dir)
}

func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return ipc.Errorf(ipc.Conflict, "%s is not a folder", dir).WithHint("move it away")
	}
	if owner(info) != os.Geteuid() {
		return ipc.Errorf(ipc.PermissionDenied, "the folder %s belongs to uid %d, not to you", dir, owner(info)).WithHint("set XDG_RUNTIME_DIR to a folder of yours")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return ipc.Errorf(ipc.PermissionDenied, "the folder %s is open to other users (mode %04o)", dir, mode).WithHint("chmod 700 " + dir)
	}
	return nil
}

func checkParent(parent string) error {
	info, err := os.Stat(parent)
	if err != nil {
		return err
	}
	if mode := info.Mode(); mode.Perm()&0o002 != 0 && mode&fs.ModeSticky == 0 {
		return ipc.Errorf(ipc.PermissionDenied, "the folder %s is writable by every user (mode %04o)", parent, mode.Perm()).WithHint("chmod 700 " + parent)
	}
	return nil
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// lockDir keeps two starters from both finding the same stale socket, where the slower one would remove the socket that
// the faster one has just made. The lock ends with unlock or with the process.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", dir, err)
	}
	return func() { _ = d.Close() }, nil
}
