package lnk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestClients runs the clients of docs/clients.md as they stand there against real daemons. It needs python3 and node,
// which .ci/run provides.
func TestClients(t *testing.T) {
	page, err := os.ReadFile("docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newSuite(t)
	sockets, _ := filepath.Glob(filepath.Join(s.dir, "run/radicle/gitd-*.sock"))
	if len(sockets) != 1 {
		t.Fatalf("sockets of gitd: %v", sockets)
	}
	work := s.repository("work", 1<<10)
	_, url := s.run(work, "git", "remote", "get-url", "lnk")
	urn := strings.TrimSpace(strings.TrimPrefix(url, "lnk://"))
	for _, client := range []struct{ language, interpreter, file string }{
		{"python", "python3", "lnk.py"}, {"javascript", "node", "lnk.mjs"},
	} {
		t.Run(client.language, func(t *testing.T) {
			s := &suite{t, s.dir, s.env}
			program := s.clientProgram(string(page), client.language, client.interpreter, client.file)
			call := func(args ...string) string {
				_, out := s.run(s.dir, client.interpreter, append([]string{program, sockets[0]}, args...)...)
				return out
			}
			if out := call("ipc.describe"); !strings.Contains(out, "git.refs") {
				t.Errorf("describe does not list git.refs: %s", out)
			}
			if out := call("git.refs", `{"0": "`+urn+`"}`); !strings.Contains(out, "refs/heads/main") {
				t.Errorf("git.refs does not show what was pushed: %s", out)
			}
			refused := s.command(s.dir, client.interpreter, program, sockets[0], "git.refs", `{"0": "rad:z0"}`)
			if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "(code 2)") {
				t.Errorf("a malformed URN is not refused as a bad request: %v, %s", err, out)
			}
		})
	}
}

// clientProgram cuts a program out of the page.
func (s *suite) clientProgram(page, language, interpreter, file string) string {
	if _, err := exec.LookPath(interpreter); err != nil {
		if os.Getenv("CI") != "" {
			s.tb.Fatal(err)
		}
		s.tb.Skip(err)
	}
	block := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(page)
	if block == nil {
		s.tb.Fatalf("no %s on the page", language)
	}
	if lines := strings.Count(block[1], "\n"); lines >= 120 {
		s.tb.Errorf("the %s client has %d lines; under 120 were promised (issue 3)", language, lines)
	}
	path := filepath.Join(s.dir, file)
	if err := os.WriteFile(path, []byte(block[1]), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	return path
}
