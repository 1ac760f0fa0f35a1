package gitd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// hookName is the hook that lets its owner do the updates of refs (githooks, proc-receive).
const hookName = "proc-receive"

// makeHooks makes the folder that core.hooksPath names: a link to our hook program and nothing else.
func makeHooks(dir, program string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the folder of hooks: %w", err)
	}
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("cannot find lnk-git-hook, it belongs beside lnk-gitd: %w", err)
	}
	link := filepath.Join(dir, hookName)
	if target, err := os.Readlink(link); err == nil && target == program {
		return nil
	}
	// Two daemons of different versions may do this at once; a rename leaves one of the two links, never none.
	temporary := fmt.Sprintf("%s.%d", link, os.Getpid())
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot make the hook: %w", err)
	}
	if err := os.Symlink(program, temporary); err != nil {
		return fmt.Errorf("cannot make the hook: %w", err)
	}
	return os.Rename(temporary, link)
}

// hookLine is the socket between gitd and the hook of one push. The hook inherits its end through git receive-pack.
type hookLine struct {
	ours   *net.UnixConn
	theirs *os.File
}

func newHookLine() (*hookLine, error) {
	syscall.ForkLock.RLock() // a child of another push that inherits an end would keep this one from ending
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket for the hook: %w", err)
	}
	mine := os.NewFile(uintptr(fds[0]), "gitd")
	theirs := os.NewFile(uintptr(fds[1]), "hook")
	defer mine.Close()
	conn, err := net.FileConn(mine)
	if err != nil {
		theirs.Close()
		return nil, fmt.Errorf("cannot use the socket for the hook: %w", err)
	}
	return &hookLine{conn.(*net.UnixConn), theirs}, nil
}

// passOn is called once git has inherited the hook's end: from then on gitd sees EOF when git and its hook are gone.
func (l *hookLine) passOn() { l.theirs.Close() }

func (l *hookLine) close() {
	l.theirs.Close()
	l.ours.Close()
}

// hookFiles are the standard files of the hook: commands from git, the report to git, messages to the user.
type hookFiles struct{ in, out, err *os.File }

// accept waits for the hook and takes its files. It returns io.EOF if git ended without running it: nothing to update.
func (l *hookLine) accept() (hookFiles, error) {
	data, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(3*4))
	n, rightsLen, _, _, err := l.ours.ReadMsgUnix(data, rights)
	if err != nil {
		return hookFiles{}, err
	}
	fds, err := parseRights(rights[:rightsLen])
	if err == nil && len(fds) == 3 {
		// The hook's own ends of its pipes with git: reading them need not hold a thread. Messages may go to a file
		// that git shares, which stays as it is.
		err = errors.Join(unix.SetNonblock(fds[0], true), unix.SetNonblock(fds[1], true))
	}
	if err != nil || n != 1 || len(fds) != 3 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return hookFiles{}, fmt.Errorf("the hook sent %d files: %w", len(fds), errors.Join(err, errors.New("expected 3")))
	}
	return hookFiles{
		in:  os.NewFile(uintptr(fds[0]), "commands"),
		out: os.NewFile(uintptr(fds[1]), "report"),
		err: os.NewFile(uintptr(fds[2]), "messages"),
	}, nil
}

// awaitEnd waits until nobody has the hook's end any more: git has ended. A wait on the process itself would do as well,
// but it holds a thread in the kernel for as long as the push takes, and the runtime looks after that one fifty times.
func (l *hookLine) awaitEnd() {
	_, _ = io.Copy(io.Discard, l.ours)
}

func parseRights(rights []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%d control messages", len(messages)))
	}
	return unix.ParseUnixRights(&messages[0])
}

func (f hookFiles) close() {
	f.in.Close()
	f.out.Close()
	f.err.Close()
}

// finish lets the hook exit with status. Its files must be closed before: git waits for the end of its messages.
func (l *hookLine) finish(status byte) error {
	_, err := l.ours.Write([]byte{status})
	return err
}
