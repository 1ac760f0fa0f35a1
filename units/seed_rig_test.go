package units

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unattended is the passphrase of the seed; it must be nowhere but in the one file that is made for it.
const unattended = "unattended secret 4711"

// testSeed is a peer that nobody sits at: its agent starts when a signature is needed, is filled then, and is the only one
// that signs for it, whatever the caller's agent holds.
func (r *rig) testSeed(t *testing.T) {
	u := newUser(t)
	u.environ = append(u.environ, "LNK_PROFILE=seed")
	secret := u.file("passphrase", unattended+"\n")
	id := u.run("lnk", "profile", "create", "seed", "--no-agent", "--passphrase-file", secret)
	logs := t.TempDir()
	for _, unit := range []string{"lnk-seed-keys@", "lnk-seed-agent@", "lnk-gitd@"} {
		r.dropIn(t, unit+id, "[Service]\nStandardError=append:"+logs+"/log\n")
	}
	u.run("lnk", "service", "install", "--seed", "--passphrase-file", secret)
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	agent, socket := "lnk-seed-keys@"+id+".service", "lnk-seed-agent@"+id+".socket"
	r.expect(t, socket, "ActiveState=active", "UnitFileState=enabled")
	r.expect(t, agent, "ActiveState=inactive")
	stdout, stderr := run(t, "systemd-analyze", "--user", "verify", socket, "lnk-seed-agent@"+id+".service", agent)
	if stdout+stderr != "" {
		t.Errorf("systemd-analyze verify complains:\n%s%s", stdout, stderr)
	}

	u.run("git", "init", "-q", "-b", "main")
	u.commit("one")
	urn := u.run("lnk", "init")
	u.run("git", "push", "-q", "lnk", "main")
	r.expect(t, agent, "ActiveState=active")
	u.run("lnk", "project", "verify", urn)
	if list := u.run("lnk", "key", "list"); !strings.Contains(list, id) || !strings.Contains(list, " seed ") || !strings.Contains(list, "forever") {
		t.Errorf("the seed's agent holds\n%s", list)
	}
	r.noTrace(t, logs)

	// The agent ends, and the next signature starts it again.
	r.do(t, "stop", agent)
	u.commit("two")
	u.run("git", "push", "-q", "lnk", "main")
	r.expect(t, agent, "ActiveState=active")

	// It cannot be filled any more: then nobody signs, although the caller's agent could.
	stored, err := filepath.Glob(filepath.Join(r.dirs.Config, "seeds", id+"*"))
	if err != nil || len(stored) != 1 {
		t.Fatalf("stored are %v, %v", stored, err)
	}
	info, err := os.Stat(stored[0])
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode of %s is %v, %v", stored[0], info.Mode(), err)
	}
	r.do(t, "stop", agent)
	if err := os.WriteFile(stored[0], []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(u.dir, "agent")
	u.run("lnk", "key", "add", "--agent", own, "--passphrase-file", u.file("passphrase", unattended+"\n"))
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	u.commit("three")
	if out, err := u.try("git", "push", "-q", "lnk", "main"); err == nil || !strings.Contains(out, "ssh-agent at ") || !strings.Contains(out, "hint: ") {
		t.Errorf("a push that the seed's agent cannot sign: %v\n%s", err, out)
	}
	r.expect(t, agent, "ActiveState=failed", "Result=exit-code")
	if log, err := os.ReadFile(logs + "/log"); err != nil || !strings.Contains(string(log), "wrong passphrase") {
		t.Errorf("the log does not say why: %s, %v", log, err)
	}
	r.noTrace(t, logs)

	// Without the units the caller's agent signs again, and the passphrase is gone.
	u.run("lnk", "service", "uninstall")
	if _, err := os.Stat(stored[0]); err == nil {
		t.Errorf("%s is left", stored[0])
	}
	if shown := u.run("lnk", "profile", "show"); strings.Contains(shown, "agent") {
		t.Errorf("the profile still has an agent of its own:\n%s", shown)
	}
	u.run("lnk", "key", "ready")
	r.expect(t, agent, "LoadState=not-found")
}

// managerSecret is what testdata/rig.sh gives the user manager as credential lnk-passphrase, as user@.service would.
const managerSecret = "passed by the manager"

// testSeedOfManager: systemd as root has decrypted the credential for the user manager, which passes it on.
func (r *rig) testSeedOfManager(t *testing.T) {
	u := newUser(t)
	u.environ = append(u.environ, "LNK_PROFILE=encrypted")
	id := u.run("lnk", "profile", "create", "encrypted", "--no-agent", "--passphrase-file", u.file("passphrase", managerSecret+"\n"))
	u.run("lnk", "service", "install", "--seed", "--manager-credential")
	u.run("lnk", "key", "ready")
	r.expect(t, "lnk-seed-keys@"+id+".service", "ActiveState=active")
	if stored, _ := filepath.Glob(filepath.Join(r.dirs.Config, "seeds", id+"*")); len(stored) > 0 {
		t.Errorf("stored is %v", stored)
	}
	u.run("lnk", "service", "uninstall")
}

// noTrace looks for the passphrase where it must not be: in units, logs, the manager's environment, and that of processes.
func (r *rig) noTrace(t *testing.T, logs string) {
	t.Helper()
	if strings.Contains(r.do(t, "show-environment"), unattended) {
		t.Error("the manager's environment shows the passphrase")
	}
	look := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // It is gone meanwhile, or not ours.
		}
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), unattended) {
			t.Errorf("%s shows the passphrase", path)
		}
		return nil
	}
	for _, dir := range []string{r.Folder, logs, r.dirs.State, r.dirs.Runtime, "/run/lnk/manager.log"} {
		if err := filepath.WalkDir(dir, look); err != nil {
			t.Error(err)
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(processes) == 0 {
		t.Fatalf("no processes: %v", err)
	}
	for _, p := range processes {
		for _, file := range []string{"environ", "cmdline"} {
			if data, err := os.ReadFile(filepath.Join(p, file)); err == nil && strings.Contains(string(data), unattended) {
				t.Errorf("%s of process %s shows the passphrase", file, p)
			}
		}
	}
}

// try runs a command that may fail and returns all that it prints.
func (u *user) try(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(u.t.Context(), name, args...)
	cmd.Dir, cmd.Env = u.repository, u.environ
	out, err := cmd.CombinedOutput()
	return string(out), err
}
