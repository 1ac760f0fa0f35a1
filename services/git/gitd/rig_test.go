package gitd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/daemon"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/git/gitd"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/project"
	"github.com/lnk-suite/lnk/services/trust"
)

// programs is the folder of the suite's real programs, built once.
var programs string

func TestMain(m *testing.M) {
	if configure := variants[filepath.Base(filepath.Dir(os.Args[0]))]; configure != nil {
		os.Exit(daemon.Main(daemon.Spec{Program: "lnk-gitd", Service: "gitd", PerPeer: true, Start: startVariant(configure)}))
	}
	os.Exit(runWithPrograms(m))
}

// variants are lnk-gitd in a configuration that the program does not offer: this program, in folders of these names.
var variants = map[string]func(gitd.Config) gitd.Config{
	"thrifty": gitd.Config.Thrifty, "tidy": gitd.Config.Tidy, "untidy": gitd.Config.Untidy,
}

// makeVariants copies this program. The bus lets publish what has the right name and lies beside it.
func makeVariants(dir string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	self, err := os.ReadFile(path)
	for name := range variants {
		folder := filepath.Join(dir, name)
		err = errors.Join(err, os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, "lnk-gitd"), self, 0o700),
			os.Link(filepath.Join(dir, "lnk-busd"), filepath.Join(folder, "lnk-busd")))
	}
	return err
}

func startVariant(configure func(gitd.Config) gitd.Config) func(context.Context, daemon.Env) (daemon.Service, error) {
	return func(ctx context.Context, env daemon.Env) (daemon.Service, error) {
		program, err := exec.LookPath("git")
		if err != nil {
			return nil, err
		}
		hook := filepath.Join(filepath.Dir(os.Args[0]), "..", "lnk-git-hook")
		return gitd.New(ctx, configure(gitd.Config{Env: env, Git: program, Hook: hook}))
	}
}

// become replaces the daemons by a variant.
func (r *rig) become(variant string) {
	r.t.Helper()
	for _, s := range []*service{r.gitd, r.bus} {
		s.kill()
		s.command[0] = filepath.Join(variant, filepath.Base(s.command[0]))
		s.start()
	}
}

func runWithPrograms(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lnk")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	args := []string{"build", "-o", dir + "/"}
	for _, name := range []string{"lnk-gitd", "lnk-git-hook", "git-remote-lnk", "lnk-busd"} {
		args = append(args, "github.com/lnk-suite/lnk/cmd/"+name)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the programs: %v\n%s", err, out)
		return 1
	}
	if err := makeVariants(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// rig is one user: a home, a key in an ssh-agent, the two daemons behind sockets that live as long as the test.
type rig struct {
	t     testing.TB
	name  string // of the profile
	home  string
	dirs  profile.Dirs
	agent keys.Agent
	stop  func() // of the agent
	key   string // file
	peer  peer.ID
	gitd  *service
	bus   *service
	rpc   *ipc.Client

	deferred atomic.Bool // a push has said so of its events
}

func newRig(t testing.TB) *rig {
	t.Helper()
	home := keystest.ShortDir(t)
	r := &rig{t: t, name: "me", home: home, key: keystest.KeyFile(t)}
	r.dirs = must(profile.NewDirs(r.getenv))(t)
	r.bus = newService(r, r.dirs.Socket("bus", ""), "bus", "lnk-busd")
	r.bus.start()
	r.moveIn()
	check(t, r.dirs.SetActive(r.name))
	return r
}

// other is a second profile of the user, with a key, an agent and a gitd of its own, on the same storage.
func (r *rig) other(name string) *rig {
	r.t.Helper()
	o := &rig{t: r.t, name: name, home: r.home, dirs: r.dirs, bus: r.bus, key: keystest.KeyFile(r.t)}
	o.moveIn()
	return o
}

func (r *rig) moveIn() {
	r.t.Helper()
	r.agent, r.stop = keystest.StartAgent(r.t, filepath.Join(r.home, "agent-"+r.name))
	r.peer = keystest.LoadKey(r.t, r.agent, r.key, keys.AddOptions{Lifetime: time.Hour})
	check(r.t, r.dirs.SaveProfile(profile.Profile{Name: r.name, Peer: r.peer, Key: r.key}))
	r.gitd = newService(r, r.dirs.Socket("gitd", r.peer), "gitd", "lnk-gitd", "--peer", string(r.peer))
	r.gitd.start()
	r.rpc = ipc.NewClient(r.gitd.socket, "gitd test")
	r.t.Cleanup(func() { r.rpc.Close() })
}

// environment is that of the daemons: no SSH_AUTH_SOCK, as under systemd.
func (r *rig) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.home, "LNK_HOME=" + r.home}
}

func (r *rig) getenv(name string) string {
	for _, v := range r.environment() {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// service is a daemon behind a socket that the test holds, as a service manager would.
type service struct {
	rig     *rig
	socket  string
	name    string
	command []string

	listener *os.File
	mu       sync.Mutex
	cmd      *exec.Cmd
	log      bytes.Buffer
}

func newService(r *rig, socket, name string, command ...string) *service {
	r.t.Helper()
	s := &service{rig: r, socket: socket, name: name, command: command}
	s.listen()
	r.t.Cleanup(func() {
		s.kill()
		s.listener.Close()
		if r.t.Failed() {
			r.t.Logf("log of %s:\n%s", name, s.log.String())
		}
	})
	return s
}

func (s *service) listen() {
	t := s.rig.t
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(s.socket), 0o700))
	l := must(net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"}))(t)
	l.SetUnlinkOnClose(false)
	s.listener = must(l.File())(t)
	l.Close()
}

func (s *service) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	args := append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, filepath.Join(programs, s.command[0])}, s.command[1:]...)
	s.cmd = exec.Command("/bin/sh", args...)
	s.cmd.Env = append(s.rig.environment(), "LISTEN_FDS=1", "LISTEN_FDNAMES="+s.name)
	s.cmd.ExtraFiles = []*os.File{s.listener}
	s.cmd.Stderr = &s.log
	check(s.rig.t, s.cmd.Start())
}

// kill ends the daemon as a power cut would; its socket stays.
func (s *service) kill() { s.end(syscall.SIGKILL) }

func (s *service) end(signal os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		s.cmd.Process.Signal(signal)
		s.cmd.Wait()
		s.cmd = nil
	}
}

// git runs git as the user in dir and returns what it prints on standard output and error, and whether it succeeded.
func (r *rig) git(dir string, args ...string) (string, bool) {
	r.t.Helper()
	return r.gitWith(dir, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, args...)
}

func (r *rig) gitWith(dir string, env []string, args ...string) (string, bool) {
	cmd := r.gitCommand(dir, env, args...)
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("events are deferred")) {
		r.deferred.Store(true)
	}
	return string(out), err == nil
}

func (r *rig) gitCommand(dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append([]string{
		"PATH=" + programs + ":" + os.Getenv("PATH"), "HOME=" + r.home, "LNK_HOME=" + r.home, "LNK_PROFILE=" + r.name,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=init.defaultBranch", "GIT_CONFIG_VALUE_0=main",
	}, env...)
	return cmd
}

// mustGit is git that has to succeed.
func (r *rig) mustGit(dir string, args ...string) string {
	r.t.Helper()
	out, ok := r.git(dir, args...)
	if !ok {
		r.t.Fatalf("git %v: %s", args, out)
	}
	return strings.TrimSpace(out)
}

// newProject stores a project whose only delegate is the user.
func (r *rig) newProject() project.URN {
	r.t.Helper()
	ctx := context.Background()
	first := project.Identity{}
	root := must(first.Next(project.Spec{Name: "test", Delegates: []peer.ID{r.peer}, Expires: time.Now().Add(time.Hour)}))(r.t)
	root = must(trust.SignRoot(ctx, r.agent.Signer(r.peer), root, nil))(r.t)
	identity := must(first.Advance(trust.RootProcess(nil, root), time.Now()))(r.t)
	created := must(git.Create.Call(ctx, r.rpc, git.CreateArgs{Identity: identity.Files()}))(r.t)
	return created.URN
}

// clone makes a working copy with one commit that is not pushed yet, and the remote lnk.
func (r *rig) newCopy(urn project.URN) string {
	r.t.Helper()
	dir := r.t.TempDir()
	r.mustGit(dir, "init", "-q")
	r.mustGit(dir, "remote", "add", "lnk", "lnk://"+string(urn))
	r.commit(dir)
	return dir
}

// commit adds an empty commit and returns its id.
func (r *rig) commit(dir string) string {
	r.t.Helper()
	r.mustGit(dir, "commit", "-q", "--allow-empty", "-m", "a commit")
	return r.mustGit(dir, "rev-parse", "HEAD")
}

// storage returns the bare repository of a project.
func (r *rig) storage(urn project.URN) string { return project.Store{Dir: r.dirs.Storage()}.Path(urn) }

// event is an updated event in readable form.
type event struct{ ref, old, new string }

// events returns all events of the peer that the bus has, in order, without those with an id that was there before. What a
// push has deferred, which a slow machine makes it do at any time, is waited for.
func (r *rig) events() []event {
	r.t.Helper()
	if r.deferred.Swap(false) {
		eventually(r.t, "deferred events", r.allPublished)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := pubsub.NewClient(r.bus.socket, "gitd test")
	defer client.Close()
	var all []event
	seen := map[string]bool{}
	for e, err := range client.Subscribe(ctx, git.Topic(r.peer), pubsub.Start{All: true, UntilCurrent: true}) {
		check(r.t, err)
		if seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		var u git.Updated
		check(r.t, ipc.Unmarshal(e.Data, &u))
		all = append(all, event{u.Ref, fmt.Sprintf("%x", u.Old), fmt.Sprintf("%x", u.New)})
	}
	return all
}

// allPublished reports whether gitd has written down that every push of the peer is on the bus.
func (r *rig) allPublished() bool {
	r.t.Helper()
	storages := must(filepath.Glob(filepath.Join(r.dirs.Storage(), "*.git")))(r.t)
	for _, storage := range storages {
		tip, pushed := r.git(storage, "rev-parse", "--verify", "--quiet", project.SignedRefsRef(r.peer))
		file := strings.TrimSuffix(filepath.Base(storage), ".git") + ".published"
		written, _ := os.ReadFile(filepath.Join(r.dirs.State, "gitd", string(r.peer), file))
		if pushed && !bytes.HasPrefix(written, []byte(tip)) {
			return false
		}
	}
	return true
}

// verified demands that refs, signed refs and signatures agree, and returns the signed refs.
func (r *rig) verified(urn project.URN) map[string]string {
	r.t.Helper()
	ctx := context.Background()
	report := must(git.Verify.Call(ctx, r.rpc, git.RefsArgs{Project: string(urn)}))(r.t)
	for _, f := range report.Faults {
		r.t.Errorf("fault: %s: %s %s", f.Part, f.Ref, f.Message)
	}
	result := must(git.SignedRefs(ctx, r.rpc, git.RefsArgs{Project: string(urn)}))(r.t)
	refs := map[string]string{}
	for _, ref := range result.Refs {
		refs[ref.Name] = ref.OID.String()
	}
	return refs
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return v
	}
}

const none = "0000000000000000000000000000000000000000"
