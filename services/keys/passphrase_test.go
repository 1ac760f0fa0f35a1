package keys_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
)

func TestPassphraseFile(t *testing.T) {
	for text, want := range map[string]string{"one": "one", "two\n": "two", "three\r\nmore\n": "three", " spaces \n": " spaces "} {
		p := keys.Passphrases{File: writeFile(t, "p", text)}
		for name, ask := range map[string]func(context.Context, string) ([]byte, error){"existing": p.Existing, "new": p.New} {
			if got, err := ask(t.Context(), "it"); err != nil || string(got) != want {
				t.Errorf("%s of %q: %q, %v", name, text, got, err)
			}
		}
	}
	for name, path := range map[string]string{"empty": writeFile(t, "p", "\nx"), "missing": "/nonexistent", "long": writeFile(t, "p", strings.Repeat("x", 5000))} {
		if got, err := (keys.Passphrases{File: path}).New(t.Context(), "it"); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := writeFile(t, "script", "#!/bin/sh\n"+text)
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAskpass(t *testing.T) {
	echo := script(t, `echo "$1"`)
	p := keys.Passphrases{Getenv: environment("SSH_ASKPASS", echo), Terminal: "/nonexistent"}
	if got, err := p.Existing(t.Context(), "key k"); err != nil || string(got) != "Passphrase for key k: " {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := p.New(t.Context(), "key k"); err == nil || !strings.Contains(err.Error(), "differ") {
		t.Errorf("two different answers: %v", err)
	}
	p.Getenv = environment("SSH_ASKPASS", script(t, "exit 1"))
	if _, err := p.Existing(t.Context(), "it"); err == nil {
		t.Error("a prompt that was closed gives a passphrase")
	}
	for _, env := range [][]string{nil, {"SSH_ASKPASS", echo, "SSH_ASKPASS_REQUIRE", "never"}} {
		p.Getenv = environment(env...)
		_, err := p.Existing(t.Context(), "it")
		wantCause(t, err, "there is no terminal")
	}
	if _, err := (keys.Passphrases{Terminal: "/dev/null"}).Existing(t.Context(), "it"); err == nil {
		t.Error("/dev/null passes for a terminal")
	}
}

// TestGenerateThenAdd is what a person does first.
func TestGenerateThenAdd(t *testing.T) {
	passphrases := keys.Passphrases{File: writeFile(t, "p", "a passphrase\n")}
	secret, err := passphrases.New(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	id, err := keys.GenerateCheaply(path, "me", secret)
	if err != nil {
		t.Fatal(err)
	}
	agent := keystest.Agent(t)
	ask := func(ctx context.Context) ([]byte, error) { return passphrases.Existing(ctx, path) }
	added, err := agent.Add(t.Context(), path, ask, keys.AddOptions{})
	if err != nil || added != id {
		t.Fatalf("added %s, %v; want %s", added, err, id)
	}
	if out := run(t, []string{"SSH_AUTH_SOCK=" + agent.Path}, "ssh-add", "-L"); strings.TrimSpace(out) != id.SSHKey()+" me" {
		t.Errorf("ssh-add -L says %s", out)
	}
}
