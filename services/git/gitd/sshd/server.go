// Package sshd lets stock git talk to gitd through stock ssh: the built-in git transport of RFC 0682.
//
// It owns the SSH side of a connection to gitd's socket: host key, user authentication, and the one request that it
// understands, git's upload-pack or receive-pack of a project. What such a request does is the business of gitd, which
// gets a socket as it does for git's native line; here bytes are encrypted and copied, nothing else. Shells, terminals,
// subsystems and forwarding do not exist.
//
// The host key lives in memory and is as old as the process. Clients learn it over the same socket, whose folder nobody
// else can write to (git.host-key), and a connection keeps the process from leaving while they ask.
//
// The signature by which a user authenticates is checked by x/crypto/ssh with crypto/ed25519, not by ZIP-215 rules as
// signatures over data are: it proves presence to this process only, and nothing is stored.
package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/ipc/peercred"
	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// Config says what a server runs with. All fields must be set.
type Config struct {
	Device   peer.ID      // the only key that is let in
	Activity ipc.Activity // told of connections that have not got what they came for, and of every session
	Log      *slog.Logger // gets connections that fail
	// Transfer serves one request of git. c is what git reads from and writes to; reasons for a refusal are written there,
	// too, as git's protocol has it. Once it returns the client is told its exit status: zero for nil, git's own if the
	// error has one, else 128.
	Transfer func(ctx context.Context, c *net.UnixConn, caller peercred.Cred, request transport.Request) error
}

// Server speaks SSH on connections of gitd's socket.
type Server struct {
	Config
	device  []byte // wire form
	hostKey ssh.Signer
}

// New returns a server with a new host key.
func New(c Config) (*Server, error) {
	device, err := ssh.NewPublicKey(ed25519.PublicKey(c.Device.PublicKey()))
	if err != nil {
		return nil, fmt.Errorf("cannot use the device key for ssh: %w", err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("cannot make a host key: %w", err)
	}
	hostKey, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the host key: %w", err)
	}
	return &Server{Config: c, device: device.Marshal(), hostKey: hostKey}, nil
}

// HostKey returns the public host key as in a known_hosts file: "ssh-ed25519 AAAA…".
func (s *Server) HostKey() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.hostKey.PublicKey())))
}

const (
	maxAuthTries   = 3
	handshakeLimit = 5 * time.Second
	approvalLimit  = time.Minute // for a person whose agent asks before it signs
	firstSession   = 10 * time.Second
	maxSessions    = 10 // of one connection at a time
)

// Serve serves one connection until the client leaves, or until the daemon does and no session runs any more.
func (s *Server) Serve(ctx context.Context, c *activate.Conn) {
	// Until the first session begins the connection itself is what goes on: ssh asks for the host key of this very
	// process meanwhile, over a second connection.
	s.Activity.Add(1)
	release := sync.OnceFunc(func() { s.Activity.Add(-1) })
	defer release()
	if !c.Hijack() {
		return // leaving: without our banner, lnk proxy asks the next instance
	}
	conn, channels, requests, err := s.handshake(c.UnixConn)
	if err != nil {
		s.Log.Warn("ssh", "caller", c.Cred.PID, "err", err)
		return
	}
	var discarding sync.WaitGroup
	discarding.Go(func() { ssh.DiscardRequests(requests) })
	defer discarding.Wait()
	s.serveChannels(ctx, c, conn, channels, release)
}

func (s *Server) handshake(c *net.UnixConn) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	if err := c.SetDeadline(time.Now().Add(handshakeLimit)); err != nil {
		return nil, nil, nil, err
	}
	conn, channels, requests, err := ssh.NewServerConn(c, s.configure(c))
	if err != nil {
		return nil, nil, nil, err
	}
	return conn, channels, requests, c.SetDeadline(time.Time{})
}

// configure offers the fast ciphers first: AES-GCM costs half of the processor time of chacha20 where there is AES-NI.
func (s *Server) configure(c *net.UnixConn) *ssh.ServerConfig {
	config := &ssh.ServerConfig{
		Config: ssh.Config{
			Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305},
			KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
		},
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519},
		MaxAuthTries:            maxAuthTries,
		ServerVersion:           "SSH-2.0-lnk-gitd",
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), s.device) {
				return nil, s.stranger(key)
			}
			return nil, c.SetDeadline(time.Now().Add(approvalLimit))
		},
	}
	config.AddHostKey(s.hostKey)
	return config
}

// stranger says whose key is wanted; ssh shows that to its user.
func (s *Server) stranger(key ssh.PublicKey) error {
	return &ssh.BannerError{
		Err:     fmt.Errorf("the key %s is not the device key", ssh.FingerprintSHA256(key)),
		Message: fmt.Sprintf("lnk: only the device key of %s is let in (%s)\n", s.Device, s.Device.Fingerprint()),
	}
}

// serveChannels starts a session for each channel. All goroutines that it starts have ended when it returns.
func (s *Server) serveChannels(ctx context.Context, c *activate.Conn, conn *ssh.ServerConn, channels <-chan ssh.NewChannel, release func()) {
	var sessions, refusing sync.WaitGroup
	defer refusing.Wait()
	defer conn.Close()
	defer sessions.Wait()
	open := make(chan struct{}, maxSessions)
	patience := time.NewTimer(firstSession)
	defer patience.Stop()
	var leaving <-chan struct{} // not before it has had its first session, or the time for that
	for {
		select {
		case channel, ok := <-channels:
			if !ok {
				return
			}
			if !admit(channel, open) {
				continue
			}
			s.Activity.Add(1)
			sessions.Go(func() {
				defer func() { <-open }()
				s.session(ctx, c.Cred, channel)
			})
			release()
			leaving = c.Draining()
		case <-patience.C:
			release()
			leaving = c.Draining()
		case <-leaving:
			refusing.Go(func() { refuseAll(channels) })
			return
		}
	}
}

// admit takes a place for a session, or refuses the channel.
func admit(channel ssh.NewChannel, open chan<- struct{}) bool {
	if channel.ChannelType() != "session" {
		_ = channel.Reject(ssh.UnknownChannelType, "lnk: git's commands only")
		return false
	}
	select {
	case open <- struct{}{}:
		return true
	default:
		_ = channel.Reject(ssh.ResourceShortage, fmt.Sprintf("lnk: at most %d sessions at a time", maxSessions))
		return false
	}
}

func refuseAll(channels <-chan ssh.NewChannel) {
	for channel := range channels {
		_ = channel.Reject(ssh.ResourceShortage, "lnk: this instance goes away, connect again")
	}
}
