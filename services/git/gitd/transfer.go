package gitd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/ipc/peercred"
	"github.com/lnk-suite/lnk/services/git/pktline"
	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
)

// requestLimit is how long a client may take to say what it wants.
const requestLimit = 10 * time.Second

// serveGit serves git's native request line: it reads the line and not a byte more, then gives the socket to git.
func (s *Server) serveGit(ctx context.Context, c *activate.Conn) {
	s.activity.Add(1)
	defer s.activity.Add(-1)
	start := time.Now()
	request, err := readRequest(c.UnixConn)
	if err == nil && !c.Hijack() {
		return // leaving: without an answer the helper asks the next instance
	}
	if err == nil {
		err = s.transfer(ctx, c.UnixConn, request)
	} else {
		refuse(c.UnixConn, err)
	}
	s.logTransfer(request, c.Cred, start, err)
}

// transferSSH serves a request that came over SSH; c is one end of a pair of sockets.
func (s *Server) transferSSH(ctx context.Context, c *net.UnixConn, caller peercred.Cred, request transport.Request) error {
	start := time.Now()
	err := s.transfer(ctx, c, request)
	s.logTransfer(request, caller, start, err)
	return err
}

func (s *Server) logTransfer(request transport.Request, caller peercred.Cred, start time.Time, err error) {
	facts := []any{"service", request.Service, "project", request.Target.Project, "caller", caller.PID, "took", time.Since(start)}
	if err != nil {
		s.log.Warn("git", append(facts, "err", err)...)
		return
	}
	s.log.Info("git", facts...)
}

func readRequest(c *net.UnixConn) (transport.Request, error) {
	if err := c.SetReadDeadline(time.Now().Add(requestLimit)); err != nil {
		return transport.Request{}, err
	}
	defer c.SetReadDeadline(time.Time{})
	return transport.ReadRequest(c)
}

// refuse tells git why there is nothing (gitprotocol-pack, "ERR"): it prints that as "remote error".
func refuse(w io.Writer, err error) {
	message := "ERR " + err.Error()
	if hint := ipc.HintOf(err); hint != "" {
		message += "\nhint: " + hint
	}
	_, _ = w.Write(pktline.Append(nil, message)) // the client may be gone, there is nobody else to tell
}

// transfer serves one fetch or push. The connection is closed when it returns, and not before the events of a push are
// stored: that is what its end tells the client.
func (s *Server) transfer(ctx context.Context, c *net.UnixConn, request transport.Request) error {
	repo, err := s.find(ctx, request)
	if err != nil {
		refuse(c, err)
		return err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer s.housekeeper.consider(repo) // when the client has gone its way
	conn, err := handOver(c)
	if err != nil {
		return err
	}
	defer conn.Close()
	if request.Service == transport.ReceivePack {
		return s.push(ctx, conn, repo, request)
	}
	return s.fetch(ctx, conn, repo, request)
}

const sendBuffer = 1 << 20

// handOver turns a connection into a file in blocking mode, as git expects, and takes it away from the runtime's poller,
// which every arriving byte would wake otherwise.
func handOver(c *net.UnixConn) (*os.File, error) {
	// A wish: with more room the two sides wait less for one another.
	_ = c.SetWriteBuffer(sendBuffer)
	conn, err := c.File()
	if err != nil {
		return nil, fmt.Errorf("cannot take over the connection: %w", err)
	}
	c.Close()
	conn.Fd()
	return conn, nil
}

// find returns the repository that a request is about.
func (s *Server) find(ctx context.Context, request transport.Request) (*repository, error) {
	urn, err := project.ParseURN(request.Target.Project)
	if err != nil {
		return nil, err
	}
	if request.Target.Peer == "" {
		return s.repositories.find(ctx, urn)
	}
	id, err := peer.Parse(request.Target.Peer)
	if err != nil {
		return nil, err
	}
	if request.Service == transport.ReceivePack && id != s.peer {
		return nil, fmt.Errorf("cannot push to the namespace of %s: it holds what that peer has signed, and you are %s", id, s.peer)
	}
	repo, err := s.repositories.find(ctx, urn)
	if err == nil && id != s.peer && !repo.hasNamespace(id) { // git would make an empty clone of it
		return nil, ipc.Errorf(ipc.NotFound, "nothing of peer %s is stored here in project %s", id, urn).
			WithHint("lnk project show " + string(urn) + " lists the peers whose work is")
	}
	return repo, err
}

// fetch serves upload-pack for one peer's namespace, or for the project's own branches where that peer has none.
func (s *Server) fetch(ctx context.Context, conn *os.File, repo *repository, request transport.Request) error {
	namespace := request.Target.Peer
	if namespace == "" && repo.hasNamespace(s.peer) {
		namespace = string(s.peer)
	}
	more := protocol(request)
	if namespace != "" {
		more = append(more, "GIT_NAMESPACE="+namespace)
	}
	env := s.engine.environment(s.engine.uploadSettings(namespace == ""), more...)
	args := []string{"upload-pack", "--strict", "--timeout=" + strconv.Itoa(s.engine.limits.Silence), repo.disk.Dir}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := func() {}
	// Git counts objects for minutes before it writes to a client that may be long gone. A push needs no watch: its git
	// reads from the client until it has everything, and then finishing is right.
	err := s.engine.serve(ctx, conn, env, args, nil, func() { stop = watchHangup(conn, func() { cancel(errHangup) }) })
	stop()
	if errors.Is(err, errHangup) {
		return nil // a client that has seen enough, such as a partial fetch that was interrupted
	}
	return err
}

var errHangup = errors.New("the client hung up")
