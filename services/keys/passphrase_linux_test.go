package keys_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/keys"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo terminal and returns the person's end and the path of the program's end.
func terminal(t *testing.T) (*os.File, string) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("/dev/pts", strconv.Itoa(n))
	session, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0) // A terminal outlives each program in it.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return person, path
}

func TestTerminal(t *testing.T) {
	person, path := terminal(t)
	type result struct {
		passphrase []byte
		err        error
	}
	results := make(chan result, 1)
	go func() {
		// A terminal is preferred to SSH_ASKPASS unless that is required.
		p := keys.Passphrases{Terminal: path, Getenv: environment("SSH_ASKPASS", "/nonexistent")}
		got, err := p.New(t.Context(), "key k")
		results <- result{got, err}
	}()
	screen := bufio.NewReader(person)
	for _, prompt := range []string{"New passphrase for key k: ", "The same again: "} {
		if got := readUntil(t, screen, prompt); strings.Contains(got, "hunter2") {
			t.Errorf("the terminal shows the passphrase: %q", got)
		}
		if echoes(t, path) {
			t.Error("the terminal shows what is typed when the prompt is there")
		}
		if _, err := person.WriteString("hunter2\n"); err != nil {
			t.Fatal(err)
		}
	}
	if r := <-results; r.err != nil || string(r.passphrase) != "hunter2" {
		t.Errorf("got %q, %v", r.passphrase, r.err)
	}
}

func readUntil(t *testing.T, r *bufio.Reader, end string) string {
	t.Helper()
	var got []byte
	for !strings.HasSuffix(string(got), end) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, b)
	}
	return string(got)
}

func echoes(t *testing.T, path string) bool {
	t.Helper()
	tty, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// TestTerminalInterrupted: after Ctrl-C the terminal echoes again.
func TestTerminalInterrupted(t *testing.T) {
	person, path := terminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := keys.Passphrases{Terminal: path}.Existing(ctx, "it")
		failed <- err
	}()
	readUntil(t, bufio.NewReader(person), "it: ")
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if !echoes(t, path) {
		t.Error("the terminal stays silent")
	}
}

// TestTerminalEnds: Ctrl-D is an answer, and no passphrase.
func TestTerminalEnds(t *testing.T) {
	person, path := terminal(t)
	failed := make(chan error, 1)
	go func() {
		_, err := keys.Passphrases{Terminal: path}.Existing(t.Context(), "it")
		failed <- err
	}()
	readUntil(t, bufio.NewReader(person), "it: ")
	if _, err := person.WriteString("\x04"); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "nothing was typed") || !echoes(t, path) {
		t.Errorf("Ctrl-D: %v", err)
	}
}

// TestAgree: what is typed is shown, and only yes is a yes.
func TestAgree(t *testing.T) {
	for typed, want := range map[string]bool{"y\n": true, " Yes \n": true, "\n": false, "no\n": false, "yess\n": false, "\x04": false} {
		person, path := terminal(t)
		agreed := make(chan bool, 1)
		go func() {
			yes, err := keys.Passphrases{Terminal: path}.Agree(t.Context(), "Really?")
			if err != nil {
				t.Errorf("%q: %v", typed, err)
			}
			agreed <- yes
		}()
		readUntil(t, bufio.NewReader(person), "Really? [y/N] ")
		if !echoes(t, path) {
			t.Error("the terminal does not show what is typed")
		}
		if _, err := person.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		if got := <-agreed; got != want {
			t.Errorf("%q means %v", typed, got)
		}
	}
	if yes, err := (keys.Passphrases{Terminal: "/nonexistent"}).Agree(t.Context(), "Really?"); yes || err == nil {
		t.Errorf("without a terminal: %v, %v", yes, err)
	}
}

// TestAgreeInterrupted: Ctrl-C ends a question, too.
func TestAgreeInterrupted(t *testing.T) {
	person, path := terminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := keys.Passphrases{Terminal: path}.Agree(ctx, "Really?")
		failed <- err
	}()
	readUntil(t, bufio.NewReader(person), "[y/N] ")
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
