// Package keystest gives tests a real ssh-agent, and signers that need none.
package keystest

import (
	"context"
	"crypto/ed25519"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
func StartAgent(t testing.TB, path string, extraEnv ...string) (keys.Agent, func()) {
	t.Helper()
	cmd := exec.Command("ssh-agent", "-D", "-a", path)
	cmd.Env = append(os.Environ(), extraEnv...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs ssh-agent: %v", err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	t.Cleanup(stop)
	waitFor(t, path)
	return keys.Agent{Path: path, Source: "test"}, stop
}

func waitFor(t testing.TB, path string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("ssh-agent does not answer: %v", err)
		}
		time.Sleep(time.Millisecond) // Polling: a child's bind has nothing to wait on.
	}
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
