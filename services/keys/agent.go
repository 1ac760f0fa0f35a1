package keys

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh/agent"
)

// Where an Agent was found, in the order of preference.
const (
	SourceCaller      = "caller"       // the program that asked for the work passed it along
	SourceProfile     = "profile"      // the profile's agent_socket
	SourceEnvironment = "environment"  // SSH_AUTH_SOCK
	SourceUserManager = "user manager" // SSH_AUTH_SOCK of systemd --user
	SourceWellKnown   = "well-known"   // where OpenSSH, GNOME, KDE, GnuPG and launchd put it
)

// Limits of one exchange with an agent, unless the context ends before. A signature may wait for a person, as long as
// Agent.Patience says.
const (
	askLimit  = 5 * time.Second
	signLimit = time.Minute
)

// Agent is an ssh-agent's socket. Each operation opens a connection of its own, so that an agent that was restarted is
// simply used, and nobody waits behind the prompt of somebody else's key. Errors are ipc.NoKey with a hint.
type Agent struct {
	// Path is the socket.
	Path string
	// Source says how it was found, for people.
	Source string
	// Patience is how long a signature may take, of which a person's answer or touch is the most; 0 means a minute.
	Patience time.Duration
}

// String names the agent in messages.
func (a Agent) String() string { return a.Path }

// Check says whether there is a socket of ours at the path and somebody answers it. Only the kernel is asked.
func (a Agent) Check(ctx context.Context) error {
	return a.session(ctx, askLimit, func(agent.ExtendedAgent, *wire) error { return nil })
}

// session dials and runs f. A failure of the connection comes back as an error of the agent, a cancelled ctx as its cause.
func (a Agent) session(ctx context.Context, limit time.Duration, f func(agent.ExtendedAgent, *wire) error) error {
	start := time.Now()
	deadline := start.Add(limit)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(deadline) {
		deadline = earlier
	}
	var w wire
	err := a.exchange(ctx, deadline, &w, f)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Cause(ctx)
	case isTimeout(w.err):
		return a.errTimeout(time.Since(start))
	case isGone(w.err):
		return a.errGone()
	}
	return err
}

func (a Agent) exchange(ctx context.Context, deadline time.Time, w *wire, f func(agent.ExtendedAgent, *wire) error) error {
	if err := checkSocket(a.Path); err != nil {
		return a.errDial(err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// A UNIX socket is connected or refused at once, so that this needs no time limit, which would cost a goroutine.
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: a.Path, Net: "unix"})
	if err != nil {
		return a.errDial(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return a.errDial(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	w.conn = conn
	// One read per answer instead of two.
	buffered := struct {
		io.Reader
		io.Writer
	}{bufio.NewReaderSize(w, answerSize), w}
	return f(agent.NewClient(buffered), w)
}

// checkSocket refuses what another user may have put in an agent's place. A link is followed: people point one at
// whatever agent is current.
func checkSocket(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("it is not a socket")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("the socket belongs to another user")
	}
	return nil
}

// wire is the connection as the agent client sees it. It remembers what the client's errors leave out: whether the
// connection failed, and what kind of message was answered. It is no io.Closer, so that the client starts no goroutine.
type wire struct {
	conn net.Conn
	err  error
	head []byte
}

func (w *wire) Write(p []byte) (int, error) {
	w.head = w.head[:0]
	n, err := w.conn.Write(p)
	w.note(err)
	return n, err
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.conn.Read(p)
	w.head = append(w.head, p[:min(n, max(0, headSize-len(w.head)))]...)
	w.note(err)
	return n, err
}

func (w *wire) note(err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
}

const (
	// answerSize in bytes is enough for a signature.
	answerSize = 512
	// headSize is a message's length and type, draft-miller-ssh-agent section 3.
	headSize = 5
	// agentFailure is SSH_AGENT_FAILURE, draft-miller-ssh-agent section 6.1.
	agentFailure = 5
)

// refused reports whether the agent understood the last request and said no.
func (w *wire) refused() bool {
	return len(w.head) == headSize && w.head[4] == agentFailure
}
