package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// withListenPID lets the daemon find its own process id in LISTEN_PID, which nobody knows before there is a process. The
// shell becomes the daemon.
const withListenPID = `export LISTEN_PID=$$; exec "$0" "$@"`

// command prepares a daemon that gets socket as descriptor 3. What it prints goes to output.
func command(s Socket, socket, output *os.File, env []string) (*exec.Cmd, error) {
	if err := checkProgram(s.Program); err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", withListenPID, s.Program}, s.Args...)...)
	cmd.Dir = "/" // the folder that the supervisor was started in is none of the daemon's business
	cmd.Env = append(slices.Clone(env), "LISTEN_FDS=1", "LISTEN_FDNAMES="+s.Service)
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = procAttr()
	return cmd, nil
}

// checkProgram finds out what the shell would only tell as exit code 126 or 127.
func checkProgram(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("cannot start %s: it is not an executable file", path)
	}
	return nil
}

// withheld is what a daemon must not inherit: variables of our own activation, and the agent, because a daemon that finds
// one in its environment works here and fails below a service manager, which has none.
var withheld = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "SSH_AUTH_SOCK", "SSH_AGENT_PID"}

func daemonEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(withheld, name)
	})
}

// starter starts every process from one thread, which lives as long as it does: to the kernel the parent of a process is
// the thread that started it, and the signal that it sends to orphans is due when that thread ends.
type starter chan func()

func newStarter() starter {
	s := make(starter)
	go func() {
		runtime.LockOSThread()
		for f := range s {
			f()
		}
	}()
	return s
}

func (s starter) start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	s <- func() { done <- cmd.Start() }
	return <-done
}

// reap waits for the daemon, and ends what it left behind: a git process that outlived a killed daemon would go on
// writing beside the next instance.
func reap(cmd *exec.Cmd) error {
	awaitExit(cmd.Process.Pid)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return cmd.Wait()
}
