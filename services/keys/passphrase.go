package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Passphrases asks for passphrases: in a file if one is named, else in the systemd credential "lnk-passphrase", if this
// service was given one, else at the terminal, else through SSH_ASKPASS. They never come from arguments or the environment,
// which other processes can read.
type Passphrases struct {
	// File holds the passphrase in its first line: a file, or /dev/fd/N for a file descriptor. Optional.
	File string
	// Getenv reads SSH_ASKPASS and SSH_ASKPASS_REQUIRE, which mean what they mean to ssh-add, and CREDENTIALS_DIRECTORY.
	// Nil is an empty environment.
	Getenv func(string) string
	// Terminal is the device to ask at; empty means /dev/tty.
	Terminal string
}

// maxPassphrase bounds a passphrase in bytes.
const maxPassphrase = 4096

var errLongPassphrase = fmt.Errorf("the passphrase is longer than %d bytes", maxPassphrase)

// Existing asks for the passphrase of something that has one already.
func (p Passphrases) Existing(ctx context.Context, what string) ([]byte, error) {
	return p.ask(ctx, "Passphrase for "+what+": ")
}

// New asks for a passphrase to be set: twice where a person types it. An empty one is an error.
func (p Passphrases) New(ctx context.Context, what string) ([]byte, error) {
	first, err := p.ask(ctx, "New passphrase for "+what+": ")
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	if !p.Personal() {
		return first, nil
	}
	second, err := p.ask(ctx, "The same again: ")
	defer clear(second)
	if err == nil && !bytes.Equal(first, second) {
		err = errors.New("the two passphrases differ")
	}
	if err != nil {
		clear(first)
		return nil, err
	}
	return first, nil
}

func (p Passphrases) ask(ctx context.Context, prompt string) ([]byte, error) {
	if file := p.file(); file != "" {
		return readPassphrase(file)
	}
	program, require := p.askpass()
	if program != "" && (require == "force" || require == "prefer") {
		return runAskpass(ctx, program, prompt)
	}
	tty, err := p.openTerminal()
	switch {
	case err == nil:
		return askTerminal(ctx, tty, prompt, true)
	case program != "" && require != "never":
		return runAskpass(ctx, program, prompt)
	}
	return nil, noKey(hintAsk, "cannot ask for a passphrase: there is no terminal: %w", err)
}

// Credential is the name of the systemd credential (systemd.exec(5), LoadCredential) that holds a service's passphrase.
const Credential = "lnk-passphrase"

// Personal reports whether a person would be asked, rather than a file.
func (p Passphrases) Personal() bool { return p.file() == "" }

// file is where the passphrase lies; empty if a person has to type it.
func (p Passphrases) file() string {
	if p.File != "" || p.Getenv == nil {
		return p.File
	}
	dir := p.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return ""
	}
	path := filepath.Join(dir, Credential)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "" // The service was given other credentials.
	}
	return path
}

// Agree asks a yes-or-no question at the terminal, where everything but yes is a no. It is an error if there is no terminal, or if
// ctx ends first.
func (p Passphrases) Agree(ctx context.Context, question string) (bool, error) {
	tty, err := p.openTerminal()
	if err != nil {
		return false, err
	}
	answer, err := askTerminal(ctx, tty, question+" [y/N] ", false)
	if ctx.Err() != nil {
		return false, err
	}
	return err == nil && slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(string(answer)))), nil
}

func (p Passphrases) askpass() (program, require string) {
	if p.Getenv == nil {
		return "", ""
	}
	return p.Getenv("SSH_ASKPASS"), p.Getenv("SSH_ASKPASS_REQUIRE")
}

func readPassphrase(path string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read passphrase: %w", err)
	}
	return firstLine(data)
}

func firstLine(data []byte) ([]byte, error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) > maxPassphrase {
		return nil, errLongPassphrase
	}
	return line, nil
}

// askpassGrace is how long a prompt that was told to end may hold its output open.
const askpassGrace = time.Second

func runAskpass(ctx context.Context, program, prompt string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, prompt)
	cmd.WaitDelay = askpassGrace
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot ask for a passphrase with %s: %w", program, err)
	}
	return firstLine(out)
}

func (p Passphrases) openTerminal() (*os.File, error) {
	path := p.Terminal
	if path == "" {
		path = "/dev/tty"
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}
