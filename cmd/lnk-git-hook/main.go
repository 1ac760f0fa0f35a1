// Lnk-git-hook is the proc-receive hook that gitd gives to git receive-pack. It hands its standard files to gitd over
// the socket that it inherited as file 3, waits for one byte, and exits with it. gitd itself then speaks the protocol of
// proc-receive (githooks): the hook is started once per push, and this program starts faster than gitd's.
package main

import (
	"os"
	"syscall"
)

// gitd is the number of the inherited socket (gitd.hookFile).
const gitd = 3

const gone = "lnk: gitd went away during the push; push again"

func main() {
	os.Exit(run())
}

func run() int {
	files := syscall.UnixRights(0, 1, 2)
	switch err := syscall.Sendmsg(gitd, []byte{1}, files, nil, 0); err {
	case nil:
	case syscall.EPIPE, syscall.ECONNRESET:
		return fail(gone)
	default:
		return fail("lnk-git-hook: this program is started by lnk-gitd during a push: " + err.Error())
	}
	verdict := make([]byte, 1)
	for {
		n, err := syscall.Read(gitd, verdict)
		switch {
		case err == syscall.EINTR:
		case err != nil || n == 0:
			return fail(gone)
		default:
			return int(verdict[0])
		}
	}
}

func fail(message string) int {
	os.Stderr.WriteString(message + "\n")
	return 1
}
