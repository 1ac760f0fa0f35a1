package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/peercred"
	"github.com/lnk-suite/lnk/services/git/transport"
)

// requestLimit is how long a session may take to say what it wants.
const requestLimit = 10 * time.Second

// refusal is the exit status of a session that did not come to run git, or whose git was ended.
const refusal = 128

// session serves one channel: one command. It was counted as activity, and is no more once the client has been told how
// the command ended.
func (s *Server) session(ctx context.Context, caller peercred.Cred, offered ssh.NewChannel) {
	var background sync.WaitGroup // ends with the channel, which the client closes, too
	defer background.Wait()
	defer s.Activity.Add(-1)
	channel, requests, err := offered.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	request, err := awaitCommand(requests)
	if errors.Is(err, io.EOF) {
		return
	}
	gone, hangUp := context.WithCancel(ctx)
	background.Go(func() {
		defer hangUp()
		ssh.DiscardRequests(requests)
	})
	if err != nil {
		explain(channel.Stderr(), err)
	} else {
		err = s.run(ctx, gone, channel, &background, caller, request)
	}
	finish(channel, status(err))
}

// awaitCommand reads requests up to the one that starts a command. The error is io.EOF if there is none.
func awaitCommand(requests <-chan *ssh.Request) (transport.Request, error) {
	var env environment
	limit := time.NewTimer(requestLimit)
	defer limit.Stop()
	for {
		select {
		case r, ok := <-requests:
			if !ok {
				return transport.Request{}, io.EOF
			}
			switch r.Type {
			case "env":
				reply(r, env.set(r.Payload))
			case "exec":
				reply(r, true)
				return env.request(r.Payload)
			case "shell", "subsystem":
				reply(r, true) // or the reason could not be told
				return transport.Request{}, errNoCommand
			default:
				reply(r, false)
			}
		case <-limit.C:
			return transport.Request{}, fmt.Errorf("no command within %v", requestLimit)
		}
	}
}

func reply(r *ssh.Request, ok bool) {
	if r.WantReply {
		_ = r.Reply(ok, nil) // fails if the connection is lost, which ends the requests
	}
}

// run has one end of a pair of sockets served as if it were git's native line, and copies between the other and channel.
func (s *Server) run(ctx, gone context.Context, channel ssh.Channel, background *sync.WaitGroup, caller peercred.Cred, request transport.Request) error {
	ours, theirs, err := socketPair()
	if err != nil {
		explain(channel.Stderr(), err)
		return err
	}
	defer ours.Close()
	defer context.AfterFunc(gone, func() { ours.Close() })()
	background.Go(func() {
		_, _ = io.Copy(ours, channel) // whoever fails here is gone, and the other direction notices
		_ = ours.CloseWrite()
	})
	var answer sync.WaitGroup
	answer.Go(func() { sendAnswer(channel, ours) })
	err = s.Transfer(ctx, theirs, caller, request)
	theirs.Close()
	answer.Wait()
	return err
}

// sendAnswer copies what git says until git is done. It hangs up on git if the client does not take it.
func sendAnswer(channel io.Writer, ours *net.UnixConn) {
	_, _ = io.Copy(channel, ours)
	ours.Close()
}

// finish tells how a session ended. The exit status goes first: a client that gets the end of the output before may leave without
// it (OpenSSH with ControlMaster did in 2 of 20 pushes), and git takes a missing status for a failure.
func finish(channel ssh.Channel, status uint32) {
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
	_ = channel.CloseWrite()
}

func status(err error) uint32 {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return uint32(exit.ExitCode())
	}
	return refusal
}

// explain tells the user why there is nothing; the client may be gone, and there is nobody else to tell.
func explain(w io.Writer, err error) {
	_, _ = fmt.Fprintf(w, "lnk: %v\n", err)
	if hint := ipc.HintOf(err); hint != "" {
		_, _ = fmt.Fprintf(w, "lnk: hint: %s\n", hint)
	}
}
