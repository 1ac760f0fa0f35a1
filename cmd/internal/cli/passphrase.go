package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/term"

	"github.com/lnk-suite/lnk/ipc"
)

// maxPassphrase bounds what is read from a file or an askpass program, in bytes.
const maxPassphrase = 4096

// newPassphrase gets the passphrase of a key that is about to be made: the first line of file ("-" is standard input), else
// typed twice.
func (a *app) newPassphrase(ctx context.Context, file string) ([]byte, error) {
	if file != "" {
		return a.passphraseFile(file)
	}
	first, err := a.ask(ctx, "Passphrase of the new key: ")
	if err != nil {
		return nil, err
	}
	second, err := a.ask(ctx, "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, errors.New("the two passphrases differ")
	}
	return first, nil
}

// passphrase gets the passphrase of an existing key.
func (a *app) passphrase(ctx context.Context, file, key string) ([]byte, error) {
	if file != "" {
		return a.passphraseFile(file)
	}
	return a.ask(ctx, "Passphrase of "+key+": ")
}

func (a *app) passphraseFile(file string) ([]byte, error) {
	if file == "-" {
		return firstLine(a.Stdin, "standard input")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the passphrase: %w", err)
	}
	defer f.Close()
	return firstLine(f, file)
}

func firstLine(r io.Reader, from string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPassphrase+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the passphrase: %w", err)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 || len(line) > maxPassphrase {
		return nil, fmt.Errorf("cannot read the passphrase: the first line of %s is empty or longer than %d bytes", from, maxPassphrase)
	}
	return line, nil
}

// ask asks on the terminal, or through the program in SSH_ASKPASS by the rules of ssh-add(1): if there is no terminal, or
// if SSH_ASKPASS_REQUIRE wants it.
func (a *app) ask(ctx context.Context, prompt string) ([]byte, error) {
	program, require := a.Getenv("SSH_ASKPASS"), a.Getenv("SSH_ASKPASS_REQUIRE")
	if program != "" && (require == "force" || require == "prefer") {
		return askProgram(ctx, program, prompt)
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err == nil {
		defer tty.Close()
		return askTerminal(ctx, tty, prompt)
	}
	if program != "" && require != "never" {
		return askProgram(ctx, program, prompt)
	}
	return nil, ipc.Errorf(ipc.NoKey, "cannot ask for the passphrase: there is no terminal").
		WithHint("give --passphrase-file FILE, or set SSH_ASKPASS")
}

func askProgram(ctx context.Context, program, prompt string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, program, prompt).Output()
	if err != nil {
		return nil, ipc.Errorf(ipc.NoKey, "cannot ask for the passphrase: %s: %w", program, err)
	}
	return firstLine(bytes.NewReader(out), program)
}

// askTerminal reads a line without echo. An interrupt gives the echo back; the read itself cannot be interrupted, so it is
// left behind with the terminal, which it takes along when lnk ends.
func askTerminal(ctx context.Context, tty *os.File, prompt string) ([]byte, error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the passphrase: %w", err)
	}
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	fmt.Fprint(tty, prompt)
	go func() {
		line, err := term.ReadPassword(fd)
		answers <- answer{line, err}
	}()
	select {
	case got := <-answers:
		fmt.Fprintln(tty)
		if got.err != nil {
			return nil, fmt.Errorf("cannot ask for the passphrase: %w", got.err)
		}
		return firstLine(bytes.NewReader(got.line), "the terminal")
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}
