package cli

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lnk-suite/lnk/services/keys/peer"
)

// refusal CAUSE HINT signs a file with lnk and pushes with git: both must fail, lnk with the status for "no key", and both
// must give the same cause, one line that fits CAUSE, and the same hint.
func scriptRefusal(ts *testscript.TestScript, neg bool, args []string) {
	scriptStatus(ts, false, []string{"8", "lnk", "key", "sign", "message", "--force"})
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], "lnk: hint: ") {
		ts.Fatalf("lnk does not give one cause and one hint: %q", lines)
	}
	cause, hint := strings.TrimPrefix(lines[0], "lnk: cannot sign: "), strings.TrimPrefix(lines[1], "lnk: hint: ")
	for pattern, text := range map[string]string{args[0]: cause, args[1]: hint} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			ts.Fatalf("lnk says %q, want %q", text, pattern)
		}
	}
	if ts.Exec("git", "-C", "repository", "push", "lnk", "main") == nil {
		ts.Fatalf("the push is not refused")
	}
	said := plain(ts.ReadFile("stderr"))
	for _, text := range []string{cause, "hint: " + hint} {
		if !strings.Contains(said, plain(text)) {
			ts.Fatalf("git does not say %q but\n%s", plain(text), said)
		}
	}
}

var (
	remotePrefix = regexp.MustCompile(`(?m)^remote: | +$`)
	howLong      = regexp.MustCompile(`within [0-9.]+m?s`)
)

// plain takes from a message what git adds to it, and what differs from one time to the next.
func plain(text string) string {
	return howLong.ReplaceAllString(remotePrefix.ReplaceAllString(text, ""), "within a time")
}

// badagent garbage|hangup|otherkey sets SSH_AUTH_SOCK to an agent as no agent should be, until the script ends. That of
// "otherkey WANTED.pub OTHER.pub" passes requests on to the real agent, but has signatures made by the other key.
func scriptBadAgent(ts *testscript.TestScript, neg bool, args []string) {
	serve := map[string]func(net.Conn){
		"garbage": func(c net.Conn) { c.Read(make([]byte, 4096)); io.WriteString(c, "220 mail.example.org ESMTP\r\n") },
		"hangup":  func(c net.Conn) { c.Read(make([]byte, 4096)) },
	}[args[0]]
	if serve == nil {
		wanted, other := readPublic(ts, args[1]), readPublic(ts, args[2])
		real := ts.Getenv("SSH_AUTH_SOCK")
		serve = func(c net.Conn) { relay(c, real, wanted, other) }
	}
	path := filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), args[0])
	listener, err := net.Listen("unix", path)
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); serve(conn) }()
		}
	}()
	ts.Setenv("SSH_AUTH_SOCK", path)
}

type bystanderKey struct{}

// A bystander is an agent that somebody has on this machine and that has no part in what the script does.
type bystander struct {
	net.Listener
	asked atomic.Int64 // connections
}

// bystander PATH puts an agent there that hangs up on everybody, until the script ends.
func scriptBystander(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(bystanderKey{}).(*bystander)
	var err error
	b.Listener, err = net.Listen("unix", ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { b.Close() })
	go func() {
		for {
			conn, err := b.Accept()
			if err != nil {
				return
			}
			b.asked.Add(1)
			conn.Close()
		}
	}()
}

// asked expects that somebody has connected to the bystander since the last time; "! asked" that nobody has.
func scriptAsked(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(bystanderKey{}).(*bystander)
	last, err := net.Dial("unix", b.Addr().String())
	ts.Check(err)
	defer last.Close()
	_, _ = io.Copy(io.Discard, last) // whoever came before is counted by now
	if others := b.asked.Swap(0) - 1; (others > 0) == neg {
		ts.Fatalf("%d others have asked the bystander", others)
	}
}

func readPublic(ts *testscript.TestScript, file string) []byte {
	id, err := peer.Parse(strings.TrimSpace(ts.ReadFile(file)))
	ts.Check(err)
	return id.PublicKey()
}

// relay passes requests on, with another key in those for signatures.
func relay(c net.Conn, path string, wanted, other []byte) {
	const signRequest = 13
	upstream, err := net.Dial("unix", path)
	if err != nil {
		return
	}
	defer upstream.Close()
	for {
		request, err := readMessage(c)
		if err != nil {
			return
		}
		if request[4] == signRequest {
			request = bytes.Replace(request, wanted, other, 1)
		}
		upstream.Write(request)
		reply, err := readMessage(upstream)
		if err != nil {
			return
		}
		c.Write(reply)
	}
}

// readMessage reads a message of the agent protocol with its length.
func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head))
	_, err := io.ReadFull(r, body)
	return append(head, body...), err
}
