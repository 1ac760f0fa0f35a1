package keys_test

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
)

// forward passes a connection on to the agent at path, for as many requests as times, one at a time, and calls asked before it
// has each answered.
func forward(c net.Conn, path string, times int, asked func()) {
	upstream, err := net.Dial("unix", path)
	if err != nil {
		return
	}
	defer upstream.Close()
	for buf := make([]byte, 4096); times > 0; times-- {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		asked()
		upstream.Write(buf[:n])
		n, _ = upstream.Read(buf)
		c.Write(buf[:n])
	}
}

// TestSpareConnection counts the connections for ten signatures in a row, with an agent that hangs up after so many answers.
func TestSpareConnection(t *testing.T) {
	real := keystest.Agent(t)
	id := keystest.AddKey(t, real)
	for _, test := range []struct{ answers, connections int }{{100, 1}, {3, 4}, {1, 10}} {
		var connections atomic.Int64
		agent := fakeAgent(t, func(c net.Conn) {
			connections.Add(1)
			forward(c, real.Path, test.answers, func() {})
		})
		found, err := keys.FindAgent(t.Context(), keys.Sources{Caller: agent.Path}) // dials as well
		if err != nil {
			t.Fatal(err)
		}
		signer := found.WithSpare(t).Signer(id)
		for range 10 {
			if _, err := signer.Sign(t.Context(), message); err != nil {
				t.Fatal(err)
			}
		}
		if n := connections.Load(); n != int64(test.connections) {
			t.Errorf("an agent that answers %d times saw %d connections, want %d", test.answers, n, test.connections)
		}
	}
}

// TestSpareConnectionIsHungUp: an agent need not wait for us to end.
func TestSpareConnectionIsHungUp(t *testing.T) {
	real := keystest.Agent(t)
	ended := make(chan struct{})
	agent := fakeAgent(t, func(c net.Conn) {
		forward(c, real.Path, 100, func() {})
		close(ended)
	})
	if _, err := agent.Signer(keystest.AddKey(t, real)).Sign(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	<-ended
}

// TestSpareConnectionOfAnotherAgent: a path that leads to another agent than before is followed, though the first one is
// still there.
func TestSpareConnectionOfAnotherAgent(t *testing.T) {
	first, second := keystest.Agent(t), keystest.Agent(t)
	current := keys.Agent{Path: filepath.Join(keystest.ShortDir(t), "current"), Source: "test"}
	if err := os.Symlink(first.Path, current.Path); err != nil {
		t.Fatal(err)
	}
	signer := current.Signer(keystest.AddKey(t, first))
	if _, err := signer.Sign(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	next := current.Path + ".new"
	if err := os.Symlink(second.Path, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, current.Path); err != nil {
		t.Fatal(err)
	}
	_, err := signer.Sign(t.Context(), message)
	wantCause(t, err, "is locked or holds no key")
}

// TestSpareConnectionIsSharedByNobody: an agent that answers only when all are asking would wait for ever.
func TestSpareConnectionIsSharedByNobody(t *testing.T) {
	const callers = 8
	real := keystest.Agent(t)
	id := keystest.AddKey(t, real)
	var asking sync.WaitGroup
	var together atomic.Bool
	agent := fakeAgent(t, func(c net.Conn) {
		forward(c, real.Path, 100, func() {
			if together.Load() {
				asking.Done()
				asking.Wait()
			}
		})
	})
	signer := agent.Signer(id)
	sign := func() {
		if _, err := signer.Sign(t.Context(), message); err != nil {
			t.Error(err)
		}
	}
	sign() // leaves a connection for one of them
	together.Store(true)
	asking.Add(callers)
	var group sync.WaitGroup
	for range callers {
		group.Go(sign)
	}
	group.Wait()
}

// TestSpareConnectionOfAnEndedAgent: whether the agent ended before or during a request cannot be told.
func TestSpareConnectionOfAnEndedAgent(t *testing.T) {
	agent, stop := keystest.StartAgent(t, filepath.Join(keystest.ShortDir(t), "agent"))
	signer := agent.WithSpare(t).Signer(keystest.AddKey(t, agent))
	if _, err := signer.Sign(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	stop()
	_, err := signer.Sign(t.Context(), message)
	wantCause(t, err, "went away before it answered")
}
