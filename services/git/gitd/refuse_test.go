package gitd_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/git/pktline"
	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/project"
)

func projectOf(url string) project.URN {
	return project.URN(strings.TrimPrefix(url, transport.Scheme))
}

// refused pushes a new commit, which must fail and say each of want, and demands that nothing has moved.
func (r *rig) refused(dir, url string, env []string, args []string, want ...string) {
	r.t.Helper()
	before := r.remoteRefs(url)
	events := len(r.events())
	out, ok := r.gitWith(dir, env, append([]string{"push"}, args...)...)
	if ok {
		r.t.Errorf("not refused: %s", out)
	}
	for _, words := range want {
		if !strings.Contains(out, words) {
			r.t.Errorf("push says %q, want %q", out, words)
		}
	}
	if after := r.remoteRefs(url); !maps.Equal(before, after) {
		r.t.Errorf("refs have moved from %v to %v", before, after)
	}
	if got := len(r.events()); got != events {
		r.t.Errorf("%d new events", got-events)
	}
	r.verified(projectOf(url))
}

func TestPushWithoutKey(t *testing.T) {
	push := []string{"lnk", "main"}
	t.Run("no agent", func(t *testing.T) {
		r, dir, url := pushed(t)
		r.commit(dir)
		r.stop()
		r.refused(dir, url, nil, push, "no ssh-agent", "hint: start one with eval ")
	})
	t.Run("agent gone", func(t *testing.T) {
		r, dir, url := pushed(t)
		r.commit(dir)
		r.stop()
		r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, push, "no ssh-agent", "hint: ")
	})
	t.Run("locked", func(t *testing.T) {
		r, dir, url := pushed(t)
		r.commit(dir)
		check(t, r.agent.Lock(context.Background(), []byte("x")))
		r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, push, "locked", "hint: lnk key add")
		check(t, r.agent.Unlock(context.Background(), []byte("x")))
		r.mustGit(dir, "push", "-q", "lnk", "main")
	})
	t.Run("key absent", func(t *testing.T) {
		r, dir, url := pushed(t)
		r.commit(dir)
		keystest.AddKey(t, r.agent)
		check(t, r.agent.Remove(context.Background(), r.peer))
		r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, push, "hint: lnk key add")
	})
	t.Run("key absent, of one profile among several", func(t *testing.T) {
		r, dir, url := pushed(t)
		r.other("ben")
		r.commit(dir)
		keystest.AddKey(t, r.agent)
		check(t, r.agent.Remove(context.Background(), r.peer))
		r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, push, "hint: lnk --profile "+r.name+" key add")
	})
	t.Run("key expired between two pushes", func(t *testing.T) {
		r, dir, url := pushed(t)
		r.commit(dir)
		r.mustGit(dir, "push", "-q", "lnk", "main")
		r.commit(dir)
		// Loaded anew, the key gets this lifetime; before the push it could expire while a busy machine still pushes.
		keystest.LoadKey(t, r.agent, r.key, keys.AddOptions{Lifetime: time.Second})
		eventually(t, "the key to expire", func() bool { return !must(r.agent.Holds(context.Background(), r.peer))(t) })
		r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, push, "hint: lnk key add")
	})
	t.Run("declined", func(t *testing.T) {
		r, dir, url := pushed(t)
		r.commit(dir)
		agent := keystest.Agent(t, "SSH_ASKPASS=/bin/false", "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:9")
		keystest.LoadKey(t, agent, r.key, keys.AddOptions{Lifetime: time.Hour, Confirm: true})
		r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + agent.Path}, push, "hint: ", "confirm")
	})
}

func TestPushToForbiddenNames(t *testing.T) {
	r, dir, url := pushed(t)
	for ref, why := range map[string]string{
		"refs/rad/id":      "refs/rad/ belongs to lnk",
		"refs/rad/signing": "refs/rad/ belongs to lnk",
		"refs/rad/sigrefs": "hidden ref",
		"refs/namespaces/z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK/refs/heads/main": "your own namespace only",
		"refs/remotes/x/main": "is not below refs/heads/",
		"refs/stash":          "is not below refs/heads/",
	} {
		r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, []string{"lnk", "main:" + ref}, why)
	}
}

func TestRequestsRefused(t *testing.T) {
	r, dir, url := pushed(t)
	other := "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
	unknown := "lnk://rad:z2XrHeyfVzMBQTuLhaCs4R5A8ppXP"
	for _, test := range []struct{ command, url, want string }{
		{"push", unknown, "is not stored here"},
		{"fetch", unknown, "is not stored here"},
		{"push", url + "/" + other, "cannot push to the namespace of " + other},
		{"fetch", url + "/" + other, "nothing of peer " + other + " is stored here"},
		{"fetch", "lnk://rad:zzz", "not a project URN"},
		{"fetch", "lnk://nonsense", "names no project"},
	} {
		out, ok := r.git(dir, test.command, test.url, "main")
		if ok || !strings.Contains(out, test.want) {
			t.Errorf("%s %s: %v %s, want %q", test.command, test.url, ok, out, test.want)
		}
	}
	if out, ok := r.git(dir, "archive", "--remote="+url, "main"); ok {
		t.Errorf("archive: %s", out)
	}
}

func TestBadRequestLines(t *testing.T) {
	r, _, url := pushed(t)
	for name, line := range map[string]string{
		"not git":     "GET / HTTP/1.1\r\n\r\n",
		"bad service": string(pktline.Append(nil, "git-upload-archive /"+r.urn(url)+"\x00host=\x00")),
		"traversal":   string(pktline.Append(nil, "git-upload-pack /../../../etc\x00host=\x00")),
		"too long":    "ffff" + strings.Repeat("x", 5000),
		"cut short":   "0040git-upload-pack",
	} {
		t.Run(name, func(t *testing.T) {
			conn := must(net.Dial("unix", r.gitd.socket))(t)
			defer conn.Close()
			_, err := io.WriteString(conn, line)
			check(t, err)
			check(t, conn.(*net.UnixConn).CloseWrite())
			check(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
			answer, _ := io.ReadAll(conn)
			if len(answer) < 8 || string(answer[4:8]) != "ERR " {
				t.Errorf("answer %q, want an ERR line", answer)
			}
		})
	}
	r.remoteRefs(url) // still there
}

// receivePack speaks the protocol of a push by hand, for what git does not let itself send.
func (r *rig) receivePack(url, commands string, pack []byte) string {
	r.t.Helper()
	conn := must(net.Dial("unix", r.gitd.socket))(r.t)
	defer conn.Close()
	request := transport.Request{Service: transport.ReceivePack, Target: must(transport.ParseURL(url))(r.t), Agent: r.agent.Path}
	_, err := conn.Write(request.Line())
	check(r.t, err)
	for {
		if _, err := pktline.Read(conn, nil, pktline.MaxData); err == pktline.ErrFlush {
			break
		} else {
			check(r.t, err)
		}
	}
	var b []byte
	b = pktline.AppendFlush(pktline.Append(b, commands+"\x00report-status object-format=sha1 agent=test"))
	_, err = conn.Write(append(b, pack...))
	check(r.t, err)
	check(r.t, conn.(*net.UnixConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	check(r.t, err)
	return string(answer)
}

// pack makes a pack of one object.
func pack(t testing.TB, kind byte, content string) (data []byte, oid string) {
	t.Helper()
	name := map[byte]string{1: "commit", 2: "tree", 3: "blob"}[kind]
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", name, len(content), content))
	b := append([]byte("PACK"), 0, 0, 0, 2, 0, 0, 0, 1)
	size := len(content)
	head := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		b = append(b, head|0x80)
		head = byte(size & 127)
	}
	b = append(b, head)
	b = append(b, deflated(content)...)
	trailer := sha1.Sum(b)
	return append(b, trailer[:]...), hex.EncodeToString(sum[:])
}

func TestCorruptPack(t *testing.T) {
	r, _, url := pushed(t)
	data, oid := pack(t, 3, "some content")
	data[len(data)-1] ^= 1
	answer := r.receivePack(url, none+" "+oid+" refs/heads/bad", data)
	if !strings.Contains(answer, "unpack ") || !strings.Contains(answer, "ng refs/heads/bad") {
		t.Errorf("answer %q", answer)
	}
	truncated := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), 7)
	answer = r.receivePack(url, none+" "+oid+" refs/heads/bad", truncated)
	if !strings.Contains(answer, "ng refs/heads/bad") {
		t.Errorf("answer %q", answer)
	}
	if refs := r.verified(projectOf(url)); len(refs) != 1 {
		t.Errorf("refs: %v", refs)
	}
}

func TestObjectThatFsckRejects(t *testing.T) {
	r, dir, url := pushed(t)
	tree := r.mustGit(dir, "rev-parse", "HEAD^{tree}")
	bad := fmt.Sprintf("tree %s\nauthor without a date\ncommitter c <c> 1 +0000\n\nx\n", tree)
	cmd := r.gitCommand(dir, nil, "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
	cmd.Stdin = strings.NewReader(bad)
	oid := strings.TrimSpace(string(must(cmd.Output())(t)))
	r.refused(dir, url, []string{"SSH_AUTH_SOCK=" + r.agent.Path}, []string{"lnk", oid + ":refs/heads/bad"}, "fsck error", "unpacker error")
}

func TestUnchangedRefIsNoEvent(t *testing.T) {
	r, dir, url := pushed(t)
	head := r.mustGit(dir, "rev-parse", "HEAD")
	empty := append([]byte("PACK"), 0, 0, 0, 2, 0, 0, 0, 0)
	sum := sha1.Sum(empty)
	answer := r.receivePack(url, head+" "+head+" refs/heads/main", append(empty, sum[:]...))
	if !strings.Contains(answer, "ok refs/heads/main") {
		t.Errorf("answer %q", answer)
	}
	if got := r.events(); len(got) != 1 {
		t.Errorf("events: %v", got)
	}
}

func TestMissingHelperSaysWhatToDo(t *testing.T) {
	r, dir, url := pushed(t)
	r.gitd.kill()
	check(t, os.Remove(r.gitd.socket))
	r.fetchFails(dir, "lnk: no socket at "+r.gitd.socket)
	left := must(net.ListenUnix("unix", &net.UnixAddr{Name: r.gitd.socket, Net: "unix"}))(t)
	left.SetUnlinkOnClose(false)
	check(t, left.Close())
	r.fetchFails(dir, "lnk: nothing listens on "+r.gitd.socket)
	cmd := r.gitCommand(dir, []string{"LNK_PROFILE=nobody"}, "fetch", url)
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("hint: make a profile")) {
		t.Errorf("fetch: %v %s", err, out)
	}
}

// fetchFails wants a symptom of README.md's table, and a cure.
func (r *rig) fetchFails(dir, symptom string) {
	r.t.Helper()
	out, ok := r.git(dir, "fetch", "lnk")
	if ok || !strings.Contains(out, symptom) || !strings.Contains(out, "hint: start the daemons") {
		r.t.Errorf("fetch: %v %s", ok, out)
	}
}

func TestHookAlone(t *testing.T) {
	out, err := exec.Command(filepath.Join(programs, "lnk-git-hook")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "started by lnk-gitd") {
		t.Errorf("%v: %s", err, out)
	}
}

// A hook whose gitd was killed while git took the pack says what to do, not how it wants to be started.
func TestHookWithoutGitd(t *testing.T) {
	fds := must(syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0))(t)
	check(t, syscall.Close(fds[0]))
	inherited := os.NewFile(uintptr(fds[1]), "gitd")
	defer inherited.Close()
	hook := exec.Command(filepath.Join(programs, "lnk-git-hook"))
	hook.ExtraFiles = []*os.File{inherited}
	out, err := hook.CombinedOutput()
	if err == nil || string(out) != "lnk: gitd went away during the push; push again\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func deflated(s string) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.Bytes()
}
