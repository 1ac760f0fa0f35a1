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
		waitNoEcho(t, path)
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

// waitNoEcho waits for the program to switch the echo off, as a person's fingers would.
func waitNoEcho(t *testing.T, path string) {
	t.Helper()
	eventually(t, func() bool { return !echoes(t, path) })
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
	waitNoEcho(t, path)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	eventually(t, func() bool { return echoes(t, path) })
	person.WriteString("\n") // Ends the read.
}
