// Package keystest gives tests a real ssh-agent, and signers that need none.
package keystest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// Passphrase opens every key file that this package makes.
const Passphrase = "a test passphrase"

// Agent starts an ssh-agent for the duration of the test. Extra environment, "NAME=value", is for its prompts.
func Agent(t testing.TB, extraEnv ...string) keys.Agent {
	t.Helper()
	agent, _ := StartAgent(t, filepath.Join(ShortDir(t), "agent"), extraEnv...)
	return agent
}

// StartAgent is Agent at a path of the test's choosing, with a function that ends it before the test does.
//
// The agent serves a shell that waits for its input to end, and leaves by itself some seconds after that shell: so a test
// that is killed leaves no agent behind either.
func StartAgent(t testing.TB, path string, extraEnv ...string) (agent keys.Agent, stop func()) {
	t.Helper()
	cmd := exec.Command("ssh-agent", "-a", path, "sh", "-c", "echo $SSH_AGENT_PID; read wait")
	cmd.Env = append(os.Environ(), extraEnv...)
	held, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs ssh-agent: %v", err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatalf("ssh-agent does not say its process id: %v", errors.Join(err, held.Close(), cmd.Wait()))
	}
	stop = sync.OnceFunc(func() {
		if err := errors.Join(syscall.Kill(pid, syscall.SIGKILL), held.Close()); err != nil {
			t.Errorf("cannot end ssh-agent: %v", err)
		}
		cmd.Wait() // The shell's status says nothing: its input has ended.
		waitGone(t, path)
	})
	t.Cleanup(stop)
	return keys.Agent{Path: path, Source: "test"}, stop
}

// waitGone waits until nobody answers at path: the agent is no child of ours to be waited for.
func waitGone(t testing.TB, path string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(time.Millisecond) // Polling: nothing tells of another process's child.
	}
	t.Error("ssh-agent does not end")
}

// ShortDir is t.TempDir with a path that leaves room for sockets: sun_path holds 104 bytes on macOS.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// AddKey makes a key and loads it into the agent, for an hour.
func AddKey(t testing.TB, agent keys.Agent) peer.ID {
	t.Helper()
	return LoadKey(t, agent, KeyFile(t), keys.AddOptions{Lifetime: time.Hour})
}

// KeyFile makes a key file that Passphrase opens, cheaply.
func KeyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", Passphrase, "-C", "a test key", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("this test needs ssh-keygen: %v: %s", err, out)
	}
	return path
}

// LoadKey loads a key file of this package into the agent.
func LoadKey(t testing.TB, agent keys.Agent, path string, o keys.AddOptions) peer.ID {
	t.Helper()
	id, err := agent.Add(context.Background(), path, func(context.Context) ([]byte, error) { return []byte(Passphrase), nil }, o)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Signer signs in memory with a key that depends on seed alone.
func Signer(seed byte) keys.Signer {
	s := make([]byte, ed25519.SeedSize)
	s[0] = seed
	return memory{ed25519.NewKeyFromSeed(s)}
}

type memory struct{ key ed25519.PrivateKey }

func (m memory) PublicKey() ed25519.PublicKey { return m.key.Public().(ed25519.PublicKey) }

func (m memory) Sign(_ context.Context, msg []byte) ([]byte, error) {
	return ed25519.Sign(m.key, msg), nil
}
