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

// Limits of one exchange with an agent, unless the context ends before. The first request starts a seed's agent, which opens
// its key file before it answers: a second's work, and more on a busy machine. A signature may wait for a person, as long
// as Agent.Patience says.
const (
	askLimit  = 15 * time.Second
	signLimit = time.Minute
)

// Agent is an ssh-agent's socket. Each operation has a connection of its own, so that nobody waits behind the prompt of
// somebody else's key, and an agent that was restarted is simply used. Errors are ipc.NoKey with a hint.
type Agent struct {
	// Path is the socket.
	Path string
	// Source says how it was found, for people.
	Source string
	// Patience is how long a signature may take, of which a person's answer or touch is the most; 0 means a minute.
	Patience time.Duration
	// For is the profile that cures must name to be about it; empty if they need not.
	For string

	spare *spare // of what FindAgent found, and of a signer
}

// String names the agent in messages.
func (a Agent) String() string { return a.Path }

// Check says whether there is a socket of ours at the path and somebody answers it. Only the kernel is asked.
func (a Agent) Check(ctx context.Context) error {
	socket, err := a.look(ctx)
	if err != nil {
		return err
	}
	conn, err := a.dial()
	if err != nil {
		return err
	}
	a.spare.put(conn, socket)
	return nil
}

// session runs f on a connection. A failure of the connection comes back as an error of the agent, a cancelled ctx as its cause.
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
	socket, err := a.look(ctx)
	if err != nil {
		return err
	}
	if w.conn = a.spare.take(socket); w.conn != nil {
		err := a.talk(ctx, deadline, w, socket, f)
		if w.answered || !isGone(w.err) {
			return err
		}
		if w.conn, err = a.dial(); err != nil {
			return a.errGone()
		}
		*w = wire{conn: w.conn} // The agent had hung up meanwhile.
	} else if w.conn, err = a.dial(); err != nil {
		return err
	}
	return a.talk(ctx, deadline, w, socket, f)
}

func (a Agent) look(ctx context.Context) (os.FileInfo, error) {
	socket, err := checkSocket(a.Path)
	if err != nil {
		return nil, a.errDial(err)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return socket, nil
}

// dial needs no time limit, which would cost a goroutine: a UNIX socket is connected or refused at once.
func (a Agent) dial() (*net.UnixConn, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: a.Path, Net: "unix"})
	if err != nil {
		return nil, a.errDial(err)
	}
	return conn, nil
}

// talk runs f on w's connection, which is kept if all went well.
func (a Agent) talk(ctx context.Context, deadline time.Time, w *wire, socket os.FileInfo, f func(agent.ExtendedAgent, *wire) error) error {
	conn := w.conn
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return a.errDial(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	in := bufio.NewReaderSize(w, answerSize) // one read per answer instead of two
	err := f(agent.NewClient(struct {
		io.Reader
		io.Writer
	}{in, w}), w)
	if stop() && err == nil && in.Buffered() == 0 {
		a.spare.put(conn, socket)
	} else {
		conn.Close()
	}
	return err
}

// checkSocket refuses what another user may have put in an agent's place. A link is followed: people point one at
// whatever agent is current.
func checkSocket(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != os.ModeSocket {
		return nil, errors.New("it is not a socket")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("the socket belongs to another user")
	}
	return info, nil
}

// wire is the connection as the agent client sees it. It remembers what the client's errors leave out: whether the
// connection failed, and what kind of message was answered. It is no io.Closer, so that the client starts no goroutine.
type wire struct {
	conn     *net.UnixConn
	err      error
	head     []byte
	answered bool // something was read
}

func (w *wire) Write(p []byte) (int, error) {
	w.head = w.head[:0]
	n, err := w.conn.Write(p)
	w.note(err)
	return n, err
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.conn.Read(p)
	w.answered = w.answered || n > 0
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
