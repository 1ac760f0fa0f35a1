package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lnk-suite/lnk/ipc"
)

// programs is the folder of the real programs, which TestMain builds once.
var programs string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lnkbin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir, "../../...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as users get them
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the programs: %v\n%s", err, out)
		return 1
	}
	programs = dir
	return m.Run()
}

// patience bounds every wait of a script. It is generous, as the machine may be busy.
const patience = time.Minute

// TestScripts runs the scripts under testdata/script: each shows a promise of the help texts with the real programs, git,
// ssh-agent and daemons. Beside testscript's own commands they have those below.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setupScript,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"up":      scriptUp,
			"down":    scriptDown,
			"crash":   scriptCrash,
			"agent":   scriptAgent,
			"status":  scriptStatus,
			"await":   scriptAwait,
			"formats": scriptFormats,
			"port":    scriptPort,
			"http":    scriptHTTP,
			"gotuf":   scriptGoTUF,
			"refusal": scriptRefusal, "badagent": scriptBadAgent, "bystander": scriptBystander, "asked": scriptAsked,
			"tap": scriptTap, "counter": scriptCounter, "contracts": scriptContracts,
		},
		RequireExplicitExec: true,
	})
}

// setupScript gives each script a home and a runtime folder of its own; the latter has a short path, so that the sockets'
// names need no shortening.
func setupScript(env *testscript.Env) error {
	runtime, err := os.MkdirTemp("", "x")
	if err != nil {
		return err
	}
	env.Defer(func() { os.RemoveAll(runtime) })
	node, err := filepath.Abs("../../../.ci/npm/node_modules")
	if err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	env.Vars = append(env.Vars,
		"PATH="+programs+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"PROGRAMS="+programs,
		"NODE_PATH="+node,
		"HOME="+home,
		"LNK_HOME="+filepath.Join(home, "lnk"),
		"XDG_RUNTIME_DIR="+runtime,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@localhost", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@localhost",
	)
	env.Values[daemonKey{}] = map[string]*background{}
	env.Values[tapKey{}] = &tap{}
	env.Values[portKey{}] = &ports{}
	env.Values[bystanderKey{}] = &bystander{}
	env.Values[failedKey{}] = env.T().(interface{ Failed() bool }).Failed
	return nil
}

type (
	daemonKey struct{}
	failedKey struct{}
)

// A background process of a script, ended by its id when the script ends.
type background struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{}
	err    error
}

// start runs a program with the script's environment until the script ends and waits for the line on its standard output.
func start(ts *testscript.TestScript, name, line string, command ...string) *background {
	b := &background{cmd: exec.Command(command[0], command[1:]...), ended: make(chan struct{})}
	b.cmd.Env = strings.Split(strings.TrimSpace(environment(ts)), "\x00")
	b.cmd.Dir = ts.MkAbs(".")
	b.cmd.Stderr = &b.stderr
	stdout, err := b.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(b.cmd.Start())
	ts.Defer(func() {
		if failed := ts.Value(failedKey{}).(func() bool); failed() && strings.Contains(ts.ReadFile("stderr"), "deadline exceeded") {
			b.quitDaemons()
		}
		b.stop()
		ts.Logf("[%s]\n%s", name, &b.stderr) // shown if the script failed
	})
	ts.Value(daemonKey{}).(map[string]*background)[name] = b
	ready := make(chan bool, 1)
	go func() {
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			if strings.Contains(scanner.Text(), line) {
				ready <- true
			}
		}
		ready <- false
		b.err = b.cmd.Wait()
		close(b.ended)
	}()
	select {
	case ok := <-ready:
		if !ok {
			<-b.ended
			ts.Fatalf("%v ended before it printed %q: %v\n%s", command, line, b.err, &b.stderr)
		}
	case <-time.After(patience):
		ts.Fatalf("%v did not print %q", command, line)
	}
	return b
}

func environment(ts *testscript.TestScript) string {
	var b strings.Builder
	for _, name := range []string{"PATH", "HOME", "LNK_HOME", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "LNK_PROFILE", "GIT_CONFIG_NOSYSTEM", "TMPDIR"} {
		if value := ts.Getenv(name); value != "" {
			b.WriteString(name + "=" + value + "\x00")
		}
	}
	return b.String()
}

// quitDaemons ends the daemons of lnk up, if it is one. Their last words tell where each of their goroutines was.
func (b *background) quitDaemons() {
	status := exec.Command(filepath.Join(programs, "lnk"), "status", "-o", "json")
	status.Env = b.cmd.Env
	out, _ := status.Output()
	var result statusResult
	if err := json.Unmarshal(out, &result); err != nil || result.Manager != "lnk up" {
		return // it hangs as well, or has ended
	}
	for _, s := range result.Services {
		if s.PID == 0 {
			continue
		}
		_ = syscall.Kill(s.PID, syscall.SIGQUIT)
		// One after the other, as they write to the same pipe.
		for deadline := time.Now().Add(patience); syscall.Kill(s.PID, 0) == nil && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func (b *background) stop() error {
	select {
	case <-b.ended:
		return b.err
	default:
	}
	b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
		return b.err
	case <-time.After(patience):
		b.cmd.Process.Kill()
		<-b.ended
		return errors.New("it did not end on SIGTERM")
	}
}

// up [flags] runs lnk up in the background until the script ends, and waits until it is ready.
func scriptUp(ts *testscript.TestScript, neg bool, args []string) {
	ts.Value(portKey{}).(*ports).release()
	start(ts, "up", "ready", append([]string{filepath.Join(programs, "lnk"), "up"}, args...)...)
}

// down ends lnk up, or the agent with "down agent", and expects success.
func scriptDown(ts *testscript.TestScript, neg bool, args []string) {
	name := strings.Join(append(args, "up")[:1], "")
	b := ts.Value(daemonKey{}).(map[string]*background)[name]
	if b == nil {
		ts.Fatalf("%s is not running", name)
	}
	if err := b.stop(); err != nil && name == "up" {
		ts.Fatalf("lnk up: %v", err)
	}
}

// crash kills lnk up with no chance to clean up.
func scriptCrash(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(daemonKey{}).(map[string]*background)["up"]
	ts.Check(b.cmd.Process.Kill())
	<-b.ended
}

// agent [SOCKET] runs an ssh-agent until the script ends and sets SSH_AUTH_SOCK.
func scriptAgent(ts *testscript.TestScript, neg bool, args []string) {
	path := filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "agent.sock")
	if len(args) == 1 {
		path = ts.MkAbs(args[0])
	}
	os.Remove(path)
	start(ts, "agent", "SSH_AUTH_SOCK", "ssh-agent", "-D", "-a", path)
	ts.Setenv("SSH_AUTH_SOCK", path)
}

type portKey struct{}

// ports are held for lnk up, so that no other script gets them.
type ports []net.Listener

func (p *ports) release() {
	for _, l := range *p {
		l.Close()
	}
	*p = nil
}

// port NAME sets a variable to a TCP port of the loopback on which lnk up can listen. It is below those that systems give to
// clients, one of which could else have it by then.
func scriptPort(ts *testscript.TestScript, neg bool, args []string) {
	held := ts.Value(portKey{}).(*ports)
	ts.Defer(held.release)
	for range 1000 {
		port := strconv.Itoa(16<<10 + rand.IntN(16<<10))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			*held = append(*held, l)
			ts.Setenv(args[0], port)
			return
		}
	}
	ts.Fatalf("no port of the loopback is free")
}

// status N PROGRAM ARGS… runs a program and expects the exit status N.
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s ended with status %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// await PROGRAM ARGS… repeats a program until it succeeds; "! await" until it fails.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if err := ts.Exec(args[0], args[1:]...); (err == nil) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("gave up waiting for: %s", strings.Join(args, " "))
		}
	}
}

// formats ARGS… runs lnk with -o json and -o cbor and expects well-formed results: a value per line, one item.
func scriptFormats(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("lnk", append([]string{"-o", "json"}, args...)...))
	out := ts.ReadFile("stdout")
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("not JSON: %s", line)
		}
	}
	ts.Check(ts.Exec("lnk", append([]string{"-o", "cbor"}, args...)...))
	if _, err := ipc.Diagnostic([]byte(ts.ReadFile("stdout"))); err != nil || out == "" {
		ts.Fatalf("JSON is %q, CBOR %q: %v", out, ts.ReadFile("stdout"), err)
	}
}
