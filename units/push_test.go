package units

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testPush is the main job with the programs as they are installed: a push to a daemon that does not run, signed by the
// caller's agent, of which the service manager knows nothing, and its event from a bus that does not run either.
func (r *rig) testPush(t *testing.T) {
	u := newUser(t)
	if environment := r.do(t, "show-environment"); strings.Contains(environment, "SSH_AUTH_SOCK") {
		t.Fatalf("the manager knows an agent, so this shows nothing:\n%s", environment)
	}
	id := u.run("lnk", "profile", "create", "me", "--passphrase-file", u.file("passphrase", "correct horse\n"))
	u.run("lnk", "service", "install", "--user")
	gitd, bus := "lnk-gitd@"+id+".service", "lnk-busd.service"
	u.run("git", "init", "-q", "-b", "main")
	u.commit("one")
	urn := u.run("lnk", "init")
	u.run("git", "push", "-q", "lnk", "main")
	r.expect(t, gitd, "ActiveState=active", "NRestarts=0")
	r.expect(t, bus, "ActiveState=active", "NRestarts=0")
	u.wantEvents(t, 1)

	// The daemons have left, as they do when idle.
	r.do(t, "stop", gitd, bus)
	r.expect(t, gitd, "ActiveState=inactive", "Result=success")
	r.expect(t, bus, "ActiveState=inactive", "Result=success")
	u.commit("two")
	u.run("git", "push", "-q", "lnk", "main")
	r.expect(t, gitd, "ActiveState=active", "NRestarts=0")
	u.wantEvents(t, 2)

	u.run("git", "clone", "-q", "lnk://"+urn, "copy")
	if got, want := u.run("git", "-C", "copy", "rev-parse", "HEAD"), u.run("git", "rev-parse", "HEAD"); got != want {
		t.Errorf("the clone is at %s, want %s", got, want)
	}
	u.run("lnk", "project", "verify", urn)
	u.run("lnk", "service", "uninstall")
	r.expect(t, gitd, "LoadState=not-found")
}

// A user types commands in a folder of their own. Nobody but these commands knows the user's agent.
type user struct {
	t          *testing.T
	dir        string
	environ    []string
	repository string
}

func newUser(t *testing.T) *user {
	dir := t.TempDir()
	socket := filepath.Join(dir, "agent")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Process.Kill(); _ = agent.Wait() })
	eventually(t, func() bool { return exists(socket) }, func() string { return "ssh-agent does not listen" })
	repository := filepath.Join(dir, "work")
	if err := os.Mkdir(repository, 0o755); err != nil {
		t.Fatal(err)
	}
	environ := append(os.Environ(), "SSH_AUTH_SOCK="+socket, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=rig", "GIT_AUTHOR_EMAIL=rig@localhost", "GIT_COMMITTER_NAME=rig", "GIT_COMMITTER_EMAIL=rig@localhost")
	return &user{t: t, dir: dir, environ: environ, repository: repository}
}

// run runs a command in the repository and returns what it prints, without the last line feed.
func (u *user) run(name string, args ...string) string {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), name, args...)
	cmd.Dir, cmd.Env = u.repository, u.environ
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		u.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

func (u *user) file(name, text string) string {
	u.t.Helper()
	path := filepath.Join(u.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
	return path
}

func (u *user) commit(text string) {
	u.t.Helper()
	u.run("git", "commit", "-q", "--allow-empty", "-m", text)
}

// wantEvents checks that the stored events of branch main lead to the current commit, one per push. A slow machine may have
// deferred them.
func (u *user) wantEvents(t *testing.T, want int) {
	t.Helper()
	var n int
	var last string
	eventually(t, func() bool { n, last = u.events(t); return n >= want }, func() string { return fmt.Sprintf("%d events, want %d", n, want) })
	if head := u.run("git", "rev-parse", "HEAD"); n != want || last != head {
		t.Errorf("%d events, the last one says %s; want %d and %s", n, last, want, head)
	}
}

// events counts the events of branch main and returns the commit of the last one.
func (u *user) events(t *testing.T) (n int, last string) {
	t.Helper()
	for line := range strings.Lines(u.run("lnk", "sub", "rad.*.git.updated", "--replay", "all", "--until-current", "-o", "json")) {
		var event struct {
			Data struct {
				Ref    string `json:"ref"`
				OIDNew string `json:"oid_new"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if event.Data.Ref == "refs/heads/main" {
			last = event.Data.OIDNew
			n++
		}
	}
	return n, last
}
