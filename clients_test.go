package lnk_test

import (
	"errors"
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
	for _, client := range []struct {
		language, interpreter, file string
		withToken                   []string // makes the interpreter call git.refs with the token that it reads
	}{
		{"python", "python3", "lnk.py", []string{"-c", `import lnk, sys
print(lnk.Client(sys.argv[1], token=sys.stdin.read().strip().encode()).call("git.refs", {0: sys.argv[2]}))`}},
		{"javascript", "node", "lnk.mjs", []string{"--input-type=module", "-e", `import fs from 'node:fs'; import { Client } from './lnk.mjs'
const client = new Client(process.argv[1], 'node/1', fs.readFileSync(0, 'utf8').trim())
console.log(JSON.stringify(await client.call('git.refs', { 0: process.argv[2] }))); client.close()`}},
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
			s.demand("git.refs")
			defer s.demand()
			refused = s.command(s.dir, client.interpreter, program, sockets[0], "git.refs", `{"0": "`+urn+`"}`)
			if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "(code 9)") {
				t.Errorf("a call without the token that is demanded: %v, %s", err, out)
			}
			_, token := s.run(s.dir, "lnk", "token", "issue", "--method", "git.refs", "--uses", "1")
			shown := s.command(s.dir, client.interpreter, append(client.withToken, sockets[0], urn)...)
			shown.Stdin = strings.NewReader(token)
			if out, err := shown.CombinedOutput(); err != nil || !strings.Contains(string(out), "refs/heads/main") {
				t.Errorf("a call with the token that is demanded: %v, %s", err, out)
			}
		})
	}
}

// demand makes the services demand a token for the methods, or for none.
func (s *suite) demand(methods ...string) {
	text := "[tokens]\nrequire = [\"" + strings.Join(methods, `", "`) + "\"]\n"
	if len(methods) == 0 {
		text = ""
	}
	config := filepath.Join(s.dir, "lnk", "config")
	if err := errors.Join(os.MkdirAll(config, 0o700), os.WriteFile(filepath.Join(config, "lnk.toml"), []byte(text), 0o600)); err != nil {
		s.tb.Fatal(err)
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
