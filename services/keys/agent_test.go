package keys_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

var message = []byte("a message")

func TestAgentSigns(t *testing.T) {
	agent := keystest.Agent(t)
	id := keystest.AddKey(t, agent)
	signer := agent.Signer(id)
	for _, msg := range [][]byte{nil, message, make([]byte, 200_000)} {
		sig, err := signer.Sign(t.Context(), msg)
		if err != nil || !keys.Verify(signer.PublicKey(), msg, sig) || !keys.VerifyStrict(signer.PublicKey(), msg, sig) {
			t.Errorf("%d bytes: signature %x, %v", len(msg), sig, err)
		}
	}
	if _, err := signer.Sign(t.Context(), make([]byte, 1<<20)); !errors.Is(err, ipc.TooLarge) || !strings.Contains(err.Error(), "1048576 bytes") {
		t.Errorf("a message that no agent takes: %v", err)
	}
}

func TestAgentSignsForMany(t *testing.T) {
	agent := keystest.Agent(t)
	signer := agent.Signer(keystest.AddKey(t, agent))
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, err := signer.Sign(t.Context(), message); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestAgentKeys(t *testing.T) {
	agent := keystest.Agent(t)
	if held, err := agent.List(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("a fresh agent holds %v, %v", held, err)
	}
	id := keystest.AddKey(t, agent)
	rsa := filepath.Join(t.TempDir(), "rsa")
	run(t, nil, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", rsa)
	run(t, []string{"SSH_AUTH_SOCK=" + agent.Path}, "ssh-add", "-q", rsa)
	held, err := agent.List(t.Context())
	if err != nil || len(held) != 2 {
		t.Fatalf("the agent holds %v, %v", held, err)
	}
	if h := held[0]; h.Peer != id || h.Type != "ssh-ed25519" || h.Fingerprint != id.Fingerprint() || h.Comment != "a test key" {
		t.Errorf("our key is listed as %+v", h)
	}
	if h := held[1]; h.Peer != "" || h.Type != "ssh-rsa" {
		t.Errorf("an RSA key is listed as %+v", h)
	}
	if ok, err := agent.Holds(t.Context(), id); !ok || err != nil {
		t.Errorf("Holds says %v, %v", ok, err)
	}
	if err := agent.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if ok, err := agent.Holds(t.Context(), id); ok || err != nil {
		t.Errorf("after removal Holds says %v, %v", ok, err)
	}
	wantCause(t, agent.Remove(t.Context(), id), "does not hold key "+string(id))
	if err := agent.Lock(t.Context(), []byte("secret")); err != nil {
		t.Fatal(err)
	}
	wantCause(t, agent.Remove(t.Context(), id), "is locked or holds no key")
}

func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

func wantCause(t *testing.T, err error, cause string) {
	t.Helper()
	if !errors.Is(err, ipc.NoKey) || !strings.Contains(err.Error(), cause) || strings.Contains(err.Error(), "\n") || ipc.HintOf(err) == "" {
		t.Errorf("the error is %v (hint: %s), want ipc.NoKey with a hint that says %q", err, ipc.HintOf(err), cause)
	}
}

func TestLifetime(t *testing.T) {
	agent := keystest.Agent(t)
	file := keystest.KeyFile(t)
	id := keystest.LoadKey(t, agent, file, keys.AddOptions{Lifetime: time.Hour})
	if _, err := agent.Signer(id).Sign(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	keystest.LoadKey(t, agent, file, keys.AddOptions{Lifetime: time.Second})
	eventually(t, func() bool { ok, err := agent.Holds(t.Context(), id); return err == nil && !ok })
	keystest.AddKey(t, agent)
	_, err := agent.Signer(id).Sign(t.Context(), message)
	wantCause(t, err, "its time ran out")
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
	}
}

func TestAddRefuses(t *testing.T) {
	agent := keystest.Agent(t)
	file := keystest.KeyFile(t)
	right := func(context.Context) ([]byte, error) { return []byte(keystest.Passphrase), nil }
	for name, o := range map[string]keys.AddOptions{
		"both": {Forever: true, Lifetime: time.Hour}, "negative": {Lifetime: -1}, "too short": {Lifetime: time.Millisecond}, "too long": {Lifetime: 1 << 62},
	} {
		if _, err := agent.Add(t.Context(), file, right, o); err == nil {
			t.Errorf("lifetime %s is accepted", name)
		}
	}
	wrong := func(context.Context) ([]byte, error) { return []byte("wrong"), nil }
	if _, err := agent.Add(t.Context(), file, wrong, keys.AddOptions{}); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	none := func(context.Context) ([]byte, error) { return nil, nil }
	if _, err := agent.Add(t.Context(), file, none, keys.AddOptions{}); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("no passphrase: %v", err)
	}
	if _, err := agent.Add(t.Context(), file+"-missing", right, keys.AddOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	asked := func(context.Context) ([]byte, error) { t.Error("asked for a passphrase in vain"); return nil, nil }
	_, err := keys.Agent{Path: agent.Path + "-missing"}.Add(t.Context(), file, asked, keys.AddOptions{})
	wantCause(t, err, "no ssh-agent is running")
}

func TestLock(t *testing.T) {
	agent := keystest.Agent(t)
	id := keystest.AddKey(t, agent)
	if err := agent.Lock(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	_, err := agent.Signer(id).Sign(t.Context(), message)
	wantCause(t, err, "is locked or holds no key")
	wantCause(t, agent.Lock(t.Context(), []byte("x")), "locked already")
	wantCause(t, agent.Unlock(t.Context(), []byte("y")), "refused to unlock")
	if err := agent.Unlock(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Signer(id).Sign(t.Context(), message); err != nil {
		t.Error(err)
	}
}

// TestConfirm has a person (SSH_ASKPASS) decline and then agree.
func TestConfirm(t *testing.T) {
	dir := t.TempDir()
	answer := filepath.Join(dir, "answer")
	askpass := filepath.Join(dir, "askpass")
	if err := os.WriteFile(askpass, []byte("#!/bin/sh\nexec cat '"+answer+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	agent := keystest.Agent(t, "SSH_ASKPASS="+askpass, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0")
	id := keystest.LoadKey(t, agent, keystest.KeyFile(t), keys.AddOptions{Confirm: true})
	for _, tt := range []struct{ answer, cause string }{{"no\n", "not confirmed"}, {"yes\n", ""}} {
		if err := os.WriteFile(answer, []byte(tt.answer), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := agent.Signer(id).Sign(t.Context(), message)
		if tt.cause != "" {
			wantCause(t, err, tt.cause)
		} else if err != nil {
			t.Error(err)
		}
	}
}

// An hourglass is a context whose time is up when the test says so.
type hourglass struct {
	context.Context
	empty chan struct{}
}

// Done implements context.Context.
func (h hourglass) Done() <-chan struct{} { return h.empty }

// Err implements context.Context.
func (h hourglass) Err() error {
	select {
	case <-h.empty:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestPromptLeftOpen has nobody answer the agent's prompt: first the caller's time runs out, then the agent dies over it.
func TestPromptLeftOpen(t *testing.T) {
	dir := keystest.ShortDir(t)
	asked, person := filepath.Join(dir, "asked"), filepath.Join(dir, "person")
	if err := syscall.Mkfifo(person, 0o600); err != nil {
		t.Fatal(err)
	}
	askpass := script(t, "echo >'"+asked+"'\nread answer <'"+person+"'\necho $answer\n")
	agent, stop := keystest.StartAgent(t, filepath.Join(dir, "agent"), "SSH_ASKPASS="+askpass, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0")
	id := keystest.LoadKey(t, agent, keystest.KeyFile(t), keys.AddOptions{Confirm: true})
	leave := func() { // The person closes the prompt, so that no process stays behind.
		if err := os.WriteFile(person, []byte("no\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
	failed := make(chan error, 1)
	sign := func(ctx context.Context) {
		_, err := agent.Signer(id).Sign(ctx, message)
		failed <- err
	}
	patience := hourglass{t.Context(), make(chan struct{})}
	go sign(patience)
	eventually(t, func() bool { return os.Remove(asked) == nil })
	close(patience.empty)
	wantCause(t, <-failed, "did not answer within")
	leave()

	go sign(t.Context())
	eventually(t, func() bool { return os.Remove(asked) == nil })
	stop()
	leave() // The prompt has inherited the connection from the agent, which closes only now.
	wantCause(t, <-failed, "went away")
}

// TestRestrictedKey binds a key to a host, which the agent then signs nothing else for.
func TestRestrictedKey(t *testing.T) {
	agent := keystest.Agent(t)
	file := filepath.Join(t.TempDir(), "key")
	run(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
	pub, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	known := writeFile(t, "known_hosts", "host.example.org "+string(pub))
	run(t, []string{"SSH_AUTH_SOCK=" + agent.Path}, "ssh-add", "-q", "-H", known, "-h", "host.example.org", file)
	id, err := keys.ReadPublicKey(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = agent.Signer(id).Sign(t.Context(), message)
	wantCause(t, err, "the key is restricted")
}

func TestAgentNotRunning(t *testing.T) {
	path := filepath.Join(keystest.ShortDir(t), "agent")
	agent, stop := keystest.StartAgent(t, path)
	id := keystest.AddKey(t, agent)
	stop()
	signer := agent.Signer(id)
	_, err := signer.Sign(t.Context(), message)
	wantCause(t, err, "no ssh-agent is running at "+path)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	_, err = signer.Sign(t.Context(), message)
	wantCause(t, err, "no ssh-agent is running at "+path)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = signer.Sign(t.Context(), message)
	wantCause(t, err, "it is not a socket")
}

// fakeAgent answers every connection with f, which real agents are too well behaved for.
func fakeAgent(t *testing.T, f func(net.Conn)) keys.Agent {
	t.Helper()
	path := filepath.Join(keystest.ShortDir(t), "agent")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { listener.Close(); group.Wait() })
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { defer conn.Close(); f(conn) })
		}
	})
	return keys.Agent{Path: path, Source: "test"}
}

// answer reads one request and sends back fixed bytes.
func answer(reply []byte) func(net.Conn) {
	return func(c net.Conn) {
		for {
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				return
			}
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	}
}

func TestAgentMisbehaves(t *testing.T) {
	id, err := peer.FromPublicKey(keystest.Signer(1).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		serve func(net.Conn)
		cause string
	}{
		"hangs up at once":    {func(net.Conn) {}, "went away"},
		"hangs up on request": {func(c net.Conn) { c.Read(make([]byte, 4096)) }, "went away"},
		"stops midway":        {func(c net.Conn) { c.Read(make([]byte, 4096)); c.Write([]byte{0, 0, 0, 90, 14, 0}) }, "went away"},
		"says hello":          {answer([]byte("220 mail.example.org ESMTP\r\n")), "makes no sense"},
		"empty answer":        {answer([]byte{0, 0, 0, 0}), "makes no sense"},
		"unknown answer":      {answer([]byte{0, 0, 0, 1, 99}), "makes no sense"},
		"success":             {answer([]byte{0, 0, 0, 1, 6}), "makes no sense"},
		"bad signature":       {answer([]byte{0, 0, 0, 5, 14, 0xff, 0xff, 0xff, 0xff}), "makes no sense"},
		"failure only":        {answer([]byte{0, 0, 0, 1, 5}), "refused to list its keys"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fakeAgent(t, tt.serve).Signer(id).Sign(t.Context(), message)
			wantCause(t, err, tt.cause)
		})
	}
}

// TestAgentSignsWithAnotherKey passes requests on to a real agent, but for another key.
func TestAgentSignsWithAnotherKey(t *testing.T) {
	real := keystest.Agent(t)
	other, wanted := keystest.AddKey(t, real), keystest.AddKey(t, real)
	agent := fakeAgent(t, func(c net.Conn) {
		upstream, err := net.Dial("unix", real.Path)
		if err != nil {
			return
		}
		defer upstream.Close()
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		upstream.Write(bytes.Replace(buf[:n], wanted.PublicKey(), other.PublicKey(), 1))
		n, _ = upstream.Read(buf)
		c.Write(buf[:n])
	})
	_, err := agent.Signer(wanted).Sign(t.Context(), message)
	wantCause(t, err, "is not by key "+string(wanted))
}

func TestAgentTakesTooLong(t *testing.T) {
	id, _ := peer.FromPublicKey(keystest.Signer(1).PublicKey())
	agent := fakeAgent(t, func(c net.Conn) {
		for buf := make([]byte, 64); ; {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := agent.Signer(id).Sign(ctx, message)
	wantCause(t, err, "did not answer within")

	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := agent.Signer(id).Sign(cancelled, message); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request: %v", err)
	}
}

// TestAgentRestarts signs again after the agent was replaced at the same path.
func TestAgentRestarts(t *testing.T) {
	path := filepath.Join(keystest.ShortDir(t), "agent")
	file := keystest.KeyFile(t)
	first, stop := keystest.StartAgent(t, path)
	signer := first.Signer(keystest.LoadKey(t, first, file, keys.AddOptions{}))
	if _, err := signer.Sign(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	stop()
	os.Remove(path)
	second, _ := keystest.StartAgent(t, path)
	keystest.LoadKey(t, second, file, keys.AddOptions{})
	if _, err := signer.Sign(t.Context(), message); err != nil {
		t.Error(err)
	}
}

// TestPromptHoldsUpNobodyElse: while one key's prompt is open, at an agent that can serve several callers, signatures with
// another key are made. An ssh-agent of OpenSSH asks in its only thread and so cannot; then the other signatures are made at
// another agent, and nothing of ours makes them wait.
func TestPromptHoldsUpNobodyElse(t *testing.T) {
	real := keystest.Agent(t)
	slow, quick := keystest.AddKey(t, real), keystest.AddKey(t, real)
	asked, answered := make(chan struct{}), make(chan struct{})
	patient := fakeAgent(t, func(c net.Conn) {
		upstream, err := net.Dial("unix", real.Path)
		if err != nil {
			return
		}
		defer upstream.Close()
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], slow.PublicKey()) {
			close(asked)
			<-answered
		}
		upstream.Write(buf[:n])
		n, _ = upstream.Read(buf)
		c.Write(buf[:n])
	})
	waiting := make(chan error, 1)
	go func() {
		_, err := patient.Signer(slow).Sign(t.Context(), message)
		waiting <- err
	}()
	<-asked
	for _, agent := range []keys.Agent{patient, real} {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if _, err := agent.Signer(quick).Sign(t.Context(), message); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	select {
	case err := <-waiting:
		t.Errorf("the prompt did not wait: %v", err)
	default:
	}
	close(answered)
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}
