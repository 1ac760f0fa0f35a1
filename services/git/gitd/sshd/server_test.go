package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/ipc/peercred"
	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

const command = "git-upload-pack '/rad:" + someProject + "'"

// key is a device key that needs no agent.
func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func signer(t *testing.T, seed byte) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromSigner(key(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// daemon is a server on a socket of its own.
type daemon struct {
	*Server
	t      *testing.T
	socket string
	leave  context.CancelFunc
	ended  chan error
	count  *activate.Activity
}

// start serves with transfer in the place of git.
func start(t *testing.T, transfer func(c *net.UnixConn, request transport.Request) error) *daemon {
	t.Helper()
	id, err := peer.FromPublicKey(key(1).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, socket: filepath.Join(dir, "s.sock"), ended: make(chan error, 1), count: new(activate.Activity)}
	d.Server, err = New(Config{Device: id, Activity: d.count, Log: slog.New(slog.DiscardHandler), Transfer: func(_ context.Context, c *net.UnixConn, _ peercred.Cred, request transport.Request) error {
		return transfer(c, request)
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := activate.Bind(d.socket)
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, d.leave = context.WithCancel(context.Background())
	server := activate.Server{Handle: d.Serve, Activity: d.count}
	go func() { d.ended <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		d.leave()
		if err := <-d.ended; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return d
}

// dial connects as lnk proxy does, with the key of seed.
func (d *daemon) dial(seed byte) (*ssh.Client, error) {
	d.t.Helper()
	file, err := transport.ConnectSSH(d.socket)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	conn, channels, requests, err := ssh.NewClientConn(c, "lnk", &ssh.ClientConfig{
		User: "git", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer(d.t, seed))},
		HostKeyCallback: ssh.FixedHostKey(d.hostKey.PublicKey()),
		BannerCallback:  func(message string) error { d.t.Log(message); return nil },
	})
	if err != nil {
		return nil, err
	}
	client := ssh.NewClient(conn, channels, requests)
	d.t.Cleanup(func() { client.Close() })
	return client, nil
}

func (d *daemon) mustDial() *ssh.Client {
	d.t.Helper()
	client, err := d.dial(1)
	if err != nil {
		d.t.Fatal(err)
	}
	return client
}

func (d *daemon) session(client *ssh.Client) *ssh.Session {
	d.t.Helper()
	s, err := client.NewSession()
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// await polls until the daemon has n things in flight.
func (d *daemon) await(n int) {
	d.t.Helper()
	for deadline := time.Now().Add(time.Minute); d.count.InFlight() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("%d in flight, want %d", d.count.InFlight(), n)
		}
	}
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	exit := (*ssh.ExitError)(nil)
	if !errors.As(err, &exit) {
		t.Fatalf("no exit status: %v", err)
	}
	return exit.ExitStatus()
}

// mirror says which request it got, and then everything that it reads.
func mirror(c *net.UnixConn, request transport.Request) error {
	_, err := io.WriteString(c, request.Service+" "+request.Version+"\n")
	if err == nil {
		_, err = io.Copy(c, c)
	}
	return err
}

func TestTransfer(t *testing.T) {
	d := start(t, mirror)
	client := d.mustDial()
	data := strings.Repeat("0123456789abcdef", 1<<17)
	for range 3 { // over one connection
		s := d.session(client)
		if err := s.Setenv("GIT_PROTOCOL", "version=2"); err != nil {
			t.Error(err)
		}
		if err := s.Setenv("LD_PRELOAD", "x"); err == nil {
			t.Error("LD_PRELOAD was accepted")
		}
		s.Stdin = strings.NewReader(data)
		out, err := s.Output(command)
		if want := transport.UploadPack + " 2\n" + data; err != nil || string(out) != want {
			t.Errorf("got %d bytes, %v, want %d", len(out), err, len(want))
		}
	}
	d.await(0)
}

func TestOnlyTheDeviceKey(t *testing.T) {
	d := start(t, mirror)
	if _, err := d.dial(2); err == nil {
		t.Error("another key was let in")
	}
	d.await(0)
	d.mustDial()
}

func TestRefused(t *testing.T) {
	d := start(t, mirror)
	client := d.mustDial()
	for _, line := range []string{"true", "", "scp -t /", "git-shell", strings.Repeat("x", 2*maxCommand)} {
		s := d.session(client)
		var stderr bytes.Buffer
		s.Stderr = &stderr
		if status := exitStatus(t, s.Run(line)); status != refusal || !strings.HasPrefix(stderr.String(), "lnk: ") {
			t.Errorf("%.20q: status %d, stderr %q", line, status, stderr.String())
		}
	}
	s := d.session(client)
	if err := s.RequestPty("xterm", 24, 80, nil); err == nil {
		t.Error("there is a terminal")
	}
	if err := s.Shell(); err != nil || exitStatus(t, s.Wait()) != refusal {
		t.Errorf("shell: %v", err)
	}
	if _, err := client.Dial("tcp", "127.0.0.1:1"); err == nil {
		t.Error("there is forwarding")
	}
	if _, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("there is forwarding back")
	}
	d.await(0)
}

func TestOneCommandPerSession(t *testing.T) {
	d := start(t, mirror)
	s := d.session(d.mustDial())
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(command); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command})); ok || err != nil {
		t.Errorf("a second command: %v, %v", ok, err)
	}
	in.Close()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
}

func TestSessionsAreLimited(t *testing.T) {
	d := start(t, mirror)
	client := d.mustDial()
	for range maxSessions {
		d.session(client)
	}
	if _, err := client.NewSession(); err == nil {
		t.Errorf("there are more than %d sessions", maxSessions)
	}
	client.Close()
	d.await(0)
}

func TestExitStatus(t *testing.T) {
	d := start(t, func(*net.UnixConn, transport.Request) error { return errors.New("no") })
	client := d.mustDial()
	for range 20 {
		if status := exitStatus(t, d.session(client).Run(command)); status != refusal {
			t.Fatalf("status %d, want %d", status, refusal)
		}
	}
}

// A client that goes away ends what git reads and writes.
func TestHangup(t *testing.T) {
	ended := make(chan error, 1)
	d := start(t, func(c *net.UnixConn, _ transport.Request) error {
		_, err := io.Copy(io.Discard, c)
		_, writeErr := c.Write(make([]byte, 1<<22))
		ended <- errors.Join(err, writeErr)
		return nil
	})
	client := d.mustDial()
	if err := d.session(client).Start(command); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := <-ended; err == nil {
		t.Error("git did not notice")
	}
	d.await(0)
}

// The connection keeps the daemon until it has had a session, and no longer: an idle one ends when the daemon leaves.
func TestActivity(t *testing.T) {
	d := start(t, mirror)
	client := d.mustDial()
	if n := d.count.InFlight(); n != 1 {
		t.Errorf("%d in flight before the first session, want 1", n)
	}
	s := d.session(client)
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(command); err != nil {
		t.Fatal(err)
	}
	d.await(1)
	in.Close()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
	d.await(0)
	d.leave()
	if err := client.Wait(); err == nil {
		t.Error("the connection did not end")
	}
}

// A transfer that runs when the daemon leaves is finished, with its exit status; a new session is refused.
func TestLeaving(t *testing.T) {
	d := start(t, mirror)
	client := d.mustDial()
	s := d.session(client)
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(command); err != nil {
		t.Fatal(err)
	}
	d.leave()
	for err = nil; err == nil; { // until it has noticed
		var extra *ssh.Session
		if extra, err = client.NewSession(); err == nil {
			extra.Close()
		}
	}
	if refused := (*ssh.OpenChannelError)(nil); !errors.As(err, &refused) || !strings.Contains(refused.Message, "goes away") {
		t.Errorf("a new session: %v", err)
	}
	if _, err := io.WriteString(in, "rest"); err != nil {
		t.Error(err)
	}
	in.Close()
	got, err := io.ReadAll(out)
	if err := errors.Join(err, s.Wait()); err != nil || !strings.HasSuffix(string(got), "\nrest") {
		t.Errorf("got %q, %v", got, err)
	}
}

// A banner without lnk's greeting is understood, too.
func TestHandshakeWithoutGreeting(t *testing.T) {
	d := start(t, mirror)
	c, err := net.Dial("unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	conn, channels, requests, err := ssh.NewClientConn(c, "lnk", &ssh.ClientConfig{
		Auth: []ssh.AuthMethod{ssh.PublicKeys(signer(t, 1))}, HostKeyCallback: ssh.FixedHostKey(d.hostKey.PublicKey()),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := ssh.NewClient(conn, channels, requests)
	defer client.Close()
	if want := "ssh-ed25519 AAAA"; !strings.HasPrefix(d.HostKey(), want) {
		t.Errorf("host key %q, want %q…", d.HostKey(), want)
	}
}
