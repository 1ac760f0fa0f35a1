package keys_test

import (
	"crypto/ed25519"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// BenchmarkVerify compares with the standard library in one run, in CPU time per signature over 256 bytes. The metric
// "x-stdlib" says how many times the standard library's rate each way of verifying has.
func BenchmarkVerify(b *testing.B) {
	const size = 1024
	msg := make([]byte, 256)
	var items []keys.Item
	for i := range size {
		seed := make([]byte, ed25519.SeedSize)
		seed[0], seed[1] = byte(i), byte(i>>8)
		key := ed25519.NewKeyFromSeed(seed)
		items = append(items, keys.Item{Pub: key.Public().(ed25519.PublicKey), Msg: msg, Sig: ed25519.Sign(key, msg)})
	}
	prepared, err := keys.Expand(items[0].Pub)
	if err != nil {
		b.Fatal(err)
	}
	it := items[0]
	ways := []struct {
		name string
		n    int
		run  func() bool
	}{
		{"single", 1, func() bool { return keys.Verify(it.Pub, it.Msg, it.Sig) }},
		{"prepared", 1, func() bool { return prepared.Verify(it.Msg, it.Sig) }},
		{"batch64", 64, func() bool { ok, _ := keys.VerifyBatch(items[:64]); return ok }},
		{"batch1024", 1024, func() bool { ok, _ := keys.VerifyBatch(items); return ok }},
	}
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			var ours, theirs time.Duration
			for b.Loop() {
				// In turn, so that a busy machine is equally hard on both.
				theirs += cpu(func() {
					for _, it := range items[:way.n] {
						if !ed25519.Verify(it.Pub, it.Msg, it.Sig) {
							b.Fatal("refused")
						}
					}
				})
				ours += cpu(func() {
					if !way.run() {
						b.Fatal("refused")
					}
				})
			}
			b.ReportMetric(float64(theirs)/float64(ours), "x-stdlib")
			b.ReportMetric(float64(ours)/float64(b.N*way.n)/1e3, "µs-cpu/sig")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpu is the processor time that f takes on any thread of the process.
func cpu(f func()) time.Duration {
	before := used()
	f()
	return used() - before
}

func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkAgentSign compares a signature with all that goes with it (connection, signing, verification) with the agent's
// own speed over a connection that stays open. The metric "x-agent" is ours over theirs in time, as medians of signatures in
// turn: 1.10 is 10 % more.
func BenchmarkAgentSign(b *testing.B) {
	held := keystest.Agent(b)
	signer := held.Signer(keystest.AddKey(b, held))
	key, err := ssh.NewPublicKey(signer.PublicKey())
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.Dial("unix", held.Path)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	client := agent.NewClient(conn)
	var ours, theirs []time.Duration
	agents := func() {
		theirs = append(theirs, timed(b, func() error { _, err := client.Sign(key, message); return err }))
	}
	lnks := func() {
		ours = append(ours, timed(b, func() error { _, err := signer.Sign(b.Context(), message); return err }))
	}
	for first, second := agents, lnks; b.Loop(); first, second = second, first {
		first()
		second()
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	half := len(ours) / 2
	b.ReportMetric(float64(ours[half])/float64(theirs[half]), "x-agent")
	b.ReportMetric(float64(ours[half].Microseconds()), "µs-median")
	b.ReportMetric(0, "ns/op")
}

func timed(b *testing.B, f func() error) time.Duration {
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}
