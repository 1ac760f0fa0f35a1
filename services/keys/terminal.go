package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// askTerminal asks for a line and closes the terminal. With hidden it does not show what is typed, from before the prompt on, so
// that nothing of what a fast typist or a program types is shown either. However it ends, the terminal is then as it was.
func askTerminal(ctx context.Context, tty *os.File, prompt string, hidden bool) (line []byte, err error) {
	defer tty.Close()
	if hidden {
		show, failed := hide(tty)
		if failed != nil {
			return nil, fmt.Errorf("cannot ask for a passphrase: %w", failed)
		}
		defer func() { err = errors.Join(err, show()) }()
	}
	if _, err := tty.WriteString(prompt); err != nil {
		return nil, fmt.Errorf("cannot ask at the terminal: %w", err)
	}
	line, err = typed(ctx, tty)
	if hidden || err != nil {
		_, _ = tty.WriteString("\n") // the one that was typed is not to be seen, or there was none
	}
	return line, err
}

// hide stops the terminal from showing what is typed, and returns what undoes it.
func hide(tty *os.File) (show func() error, err error) {
	before, err := termios(tty, nil)
	if err != nil {
		return nil, err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	_, err = termios(tty, &hidden)
	return func() error {
		_, err := termios(tty, before)
		return err
	}, err
}

// termios reads the terminal's settings, or sets them. Unlike File.Fd this leaves reads interruptible.
func termios(tty *os.File, set *unix.Termios) (state *unix.Termios, err error) {
	raw, err := tty.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if set != nil {
			failed = unix.IoctlSetTermios(int(fd), setTermios, set)
		} else {
			state, failed = unix.IoctlGetTermios(int(fd), getTermios)
		}
	})
	return state, errors.Join(err, failed)
}

// typed waits for a line, until ctx ends. Where a terminal's reads cannot be interrupted (macOS) the goroutine then stays until
// the line or the process ends.
func typed(ctx context.Context, tty *os.File) ([]byte, error) {
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := readLine(tty)
		answers <- answer{line, err}
	}()
	select {
	case a := <-answers:
		return a.line, a.err
	case <-ctx.Done():
		if tty.SetReadDeadline(time.Unix(1, 0)) == nil {
			clear((<-answers).line)
		}
		return nil, context.Cause(ctx)
	}
}

// readLine reads what is typed up to the end of the line, into memory that never moves, so that it can be cleared.
func readLine(r io.Reader) ([]byte, error) {
	line := make([]byte, 0, maxPassphrase+1)
	for len(line) < cap(line) {
		n, err := r.Read(line[len(line):cap(line)])
		line = line[:len(line)+n]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			return bytes.TrimSuffix(line[:end], []byte("\r")), nil
		}
		if err != nil {
			clear(line)
			if errors.Is(err, io.EOF) {
				err = errors.New("nothing was typed")
			}
			return nil, err
		}
	}
	clear(line)
	return nil, errLongPassphrase
}
