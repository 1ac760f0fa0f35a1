package trustd

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/trust"
)

// The benchmarks drive the real lnk-trustd, built as make does it, with a real ssh-agent, over its socket. Their peer is
// go-tuf in this process: reading, verifying and writing the same documents, in rounds between those of the daemon. They
// report medians, and assert nothing, as machines are noisy.

// BenchmarkLarge is one life of a repository of 10,000 targets in 16,384 hash bins (issue 5).
func BenchmarkLarge(b *testing.B) {
	s := newSubject(b)
	first := s.root(rootSpec{signers: []byte{1}}, nil)
	s.do("POST", "bootstrap", bootstrapBody(first, 16384))
	b.Run("publish-10000", func(b *testing.B) {
		started := time.Now()
		s.do("POST", "artifacts", addBody(numbered("dir/file-%d", 10_000)...))
		took := time.Since(started)
		signed := s.edition("1.targets.json", "*.bins-*.json")
		b.ReportMetric(took.Seconds(), "s")
		b.ReportMetric(took.Seconds()/s.goTUF(signed).Seconds(), "x-go-tuf")
		b.ReportMetric(took.Seconds()/s.agentAlone(b, len(signed)+2).Seconds(), "x-agent")
		s.note()
		b.ReportMetric(s.peak, "MiB-peak")
		b.ReportMetric(0, "ns/op")
	})
	n := 0
	add := func() {
		n++
		s.do("POST", "artifacts", addBody(fmt.Sprintf("new/%d", n)))
	}
	b.Run("add", func(b *testing.B) { s.compare(b, 31, add, "*.snapshot.json") })
	b.Run("add-cold", func(b *testing.B) {
		restart := func() { s.note(); s.kill() }
		restart()
		s.compare(b, 31, func() { s.start(); add() }, "*.snapshot.json", restart)
		s.start()
	})
	b.Run("sign-200", func(b *testing.B) {
		previous := first
		s.compare(b, 5, func() { previous = s.signTogether(200, previous) }, "*.root.json")
	})
	b.Run("memory", func(b *testing.B) {
		s.note()
		b.ReportMetric(s.peak, "MiB-peak")
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkSign is one signature of a person, accepted and stored.
func BenchmarkSign(b *testing.B) {
	s := newSubject(b)
	root := s.root(rootSpec{signers: []byte{1, 2, 3}, threshold: 3}, nil)
	s.do("POST", "bootstrap", bootstrapBody(root, 2))
	file := filepath.Join(b.TempDir(), "1.root.json")
	if err := os.WriteFile(file, s.rig.signed(root, nil, 2, 3).Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	body := s.rig.signature("root", root, 2)
	s.compare(b, 101, func() { s.do("POST", "metadata/sign", body) }, file)
}

// subject is the daemon that is measured.
type subject struct {
	*process
	rig  *rig // makes documents
	peak float64
}

func newSubject(b *testing.B) *subject {
	b.Helper()
	program := filepath.Join(b.TempDir(), "lnk-trustd")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "github.com/lnk-suite/lnk/cmd/lnk-trustd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	r := newRig(b)
	_ = r.srv.Close(b.Context())
	r.clock.now = time.Now()
	holder := keystest.Agent(b)
	c, err := net.Dial("unix", holder.Path)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := agent.NewClient(c).Add(agent.AddedKey{PrivateKey: who(onlineOne).PrivateKey}); err != nil {
		b.Fatal(err)
	}
	s := &subject{process: &process{t: b, dir: filepath.Dir(r.agent), agent: holder.Path, program: program}, rig: r}
	s.start()
	b.Cleanup(s.kill)
	return s
}

func (s *subject) root(spec rootSpec, previous *trust.Root) *trust.Root {
	s.t.Helper()
	return s.rig.signed(s.rig.newRoot(spec), previous, 1)
}

// signTogether proposes a root that takes all of so many people's signatures and sends them at the same time.
func (s *subject) signTogether(people int, previous *trust.Root) *trust.Root {
	quorum := trust.Role{Threshold: people, Keys: []trust.Key{who(1).key(s.t)}}
	for i := range people - 1 {
		quorum.Keys = append(quorum.Keys, personNumber(i).key(s.t))
	}
	root := s.root(rootSpec{version: previous.Version() + 1, signers: []byte{1}, change: func(r *trust.RootSpec) { r.Roles[trust.RoleRoot] = quorum }}, previous)
	s.do("POST", "metadata", rootBody(root))
	var signers sync.WaitGroup
	for i := range people - 1 {
		signers.Go(func() {
			sig := ed25519.Sign(personNumber(i).PrivateKey, root.Payload())
			s.do("POST", "metadata/sign", map[string]any{"role": "root", "signature": map[string]any{"keyid": personNumber(i).key(s.t).ID, "sig": hex.EncodeToString(sig)}})
		})
	}
	signers.Wait()
	return root
}

// compare measures work in rounds, each followed by go-tuf on the newest files of the pattern, and by what has to be done
// after.
func (s *subject) compare(b *testing.B, rounds int, work func(), pattern string, after ...func()) {
	var ours, ratios []float64
	for range rounds {
		started := time.Now()
		work()
		took := time.Since(started)
		peer := s.goTUF(s.edition(pattern))
		ours, ratios = append(ours, took.Seconds()*1000), append(ratios, took.Seconds()/peer.Seconds())
		for _, f := range after {
			f()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ours), "ms")
	b.ReportMetric(median(ratios), "x-go-tuf")
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// note keeps the most memory that the process has had, before it is ended.
func (s *subject) note() {
	s.peak = max(s.peak, s.memory("VmHWM"))
}

// published is a file that clients get.
type published struct {
	name string
	data []byte
}

// edition reads the files of the patterns: every bin's, or of another role the newest.
func (s *subject) edition(patterns ...string) []published {
	var files []published
	for _, pattern := range patterns {
		if !filepath.IsAbs(pattern) {
			pattern = s.metadata(pattern)
		}
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			s.t.Fatalf("no files %s: %v", pattern, err)
		}
		if !strings.Contains(pattern, roleBins) {
			names = []string{slices.MaxFunc(names, func(a, b string) int { return int(versionOf(a) - versionOf(b)) })}
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				s.t.Fatal(err)
			}
			files = append(files, published{filepath.Base(name), data})
		}
	}
	return files
}

func versionOf(path string) (version int64) {
	number, _, _ := strings.Cut(filepath.Base(path), ".")
	_, _ = fmt.Sscan(number, &version)
	return version
}

// goTUF is how long go-tuf takes to read, verify and write the files.
func (s *subject) goTUF(files []published) time.Duration {
	root := s.publishedRoot()
	var top *metadata.Metadata[metadata.TargetsType]
	started := time.Now()
	for _, f := range files {
		role := strings.Split(f.name, ".")[max(0, strings.Count(f.name, ".")-1)]
		var err error
		switch role {
		case trust.RoleRoot:
			err = roundTrip(metadata.Root(), f.data, func(m *metadata.Metadata[metadata.RootType]) error { return m.VerifyDelegate(role, m) })
		case trust.RoleSnapshot:
			err = roundTrip(metadata.Snapshot(), f.data, func(m *metadata.Metadata[metadata.SnapshotType]) error { return root.VerifyDelegate(role, m) })
		case trust.RoleTargets:
			top = metadata.Targets()
			err = roundTrip(top, f.data, func(m *metadata.Metadata[metadata.TargetsType]) error { return root.VerifyDelegate(role, m) })
		default:
			err = roundTrip(metadata.Targets(), f.data, func(m *metadata.Metadata[metadata.TargetsType]) error { return top.VerifyDelegate(role, m) })
		}
		if err != nil {
			s.t.Fatalf("%s: %v", f.name, err)
		}
	}
	return time.Since(started)
}

// publishedRoot is nil before the first is published.
func (s *subject) publishedRoot() *metadata.Metadata[metadata.RootType] {
	if names, _ := filepath.Glob(s.metadata("*.root.json")); len(names) == 0 {
		return nil
	}
	root, err := metadata.Root().FromBytes(s.edition("*.root.json")[0].data)
	if err != nil {
		s.t.Fatal(err)
	}
	return root
}

func roundTrip[T metadata.Roles](m *metadata.Metadata[T], data []byte, verify func(*metadata.Metadata[T]) error) error {
	if _, err := m.FromBytes(data); err != nil {
		return err
	}
	if err := verify(m); err != nil {
		return err
	}
	_, err := m.ToBytes(false)
	return err
}

// agentAlone is how long the agent takes for so many small signatures, asked for one after the other.
func (s *subject) agentAlone(b *testing.B, n int) time.Duration {
	c, err := net.Dial("unix", s.agent)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	pub, err := ssh.NewPublicKey(who(onlineOne).Public())
	if err != nil {
		b.Fatal(err)
	}
	client, message := agent.NewClient(c), make([]byte, 300)
	started := time.Now()
	for range n {
		if _, err := client.Sign(pub, message); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(started)
}
