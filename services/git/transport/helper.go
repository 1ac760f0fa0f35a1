package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// Helper is one run of git-remote-lnk: git's commands on In, answers on Out, messages for the user on Err.
// After "connect" In and Out carry git's own protocol and are copied between git and the socket.
type Helper struct {
	In, Out *os.File
	Err     io.Writer
	Target  Target
	Socket  string // of gitd
	Agent   string // the caller's SSH_AUTH_SOCK, passed along for gitd to sign with
}

const maxCommand = 1024

// Run serves git until it has what it wants.
func (h *Helper) Run() error {
	for {
		command, err := readLine(h.In)
		if errors.Is(err, io.EOF) || err == nil && command == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read git's command: %w", err)
		}
		service, isConnect := strings.CutPrefix(command, "connect ")
		switch {
		case command == "capabilities":
			_, err = io.WriteString(h.Out, "connect\n\n")
		case isConnect && (service == UploadPack || service == ReceivePack):
			return h.connect(service)
		case isConnect: // git-upload-archive: git then says itself that it cannot
			_, err = io.WriteString(h.Out, "fallback\n")
		default:
			return fmt.Errorf("unknown command %q from git", command)
		}
		if err != nil {
			return fmt.Errorf("cannot answer git: %w", err)
		}
	}
}

func (h *Helper) connect(service string) error {
	socket, first, err := h.open(h.request(service).Line())
	if err != nil {
		return err
	}
	// The socket is not closed: until the process ends, the copy from git may be in the middle of a system call on it.
	if _, err := h.Out.Write(append([]byte("\n"), first...)); err != nil {
		return fmt.Errorf("cannot answer git: %w", err)
	}
	return relay(h.In, h.Out, socket)
}

const (
	maxAttempts = 5
	firstRead   = 64 << 10
)

// open sends the request and waits for the beginning of git's answer: the server of git speaks first. A gitd that was
// just leaving closes without a word, nothing was done then, and the next instance gets the request.
func (h *Helper) open(line []byte) (socket *os.File, first []byte, err error) {
	for range maxAttempts {
		if socket, err = Dial(h.Socket); err != nil {
			return nil, nil, err
		}
		first = make([]byte, firstRead)
		var n int
		if _, err = socket.Write(line); err == nil {
			n, err = socket.Read(first)
		}
		if n > 0 {
			return socket, first[:n], nil
		}
		socket.Close()
	}
	return nil, nil, fmt.Errorf("gitd closed the connection without an answer, see its log: %w", err)
}

// request asks for protocol 2 by itself, as git tells its helpers nothing about versions; for a push there is no
// version 2, and receive-pack without a version speaks what every git understands.
func (h *Helper) request(service string) Request {
	request := Request{Service: service, Target: h.Target}
	if service == UploadPack {
		request.Version = "2"
	} else {
		request.Agent = h.Agent
	}
	return request
}

// readLine reads up to a newline and nothing beyond: what follows "connect" is for gitd.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var one [1]byte
	for len(line) < maxCommand {
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return string(line), nil
		}
		line = append(line, one[0])
	}
	return "", fmt.Errorf("line longer than %d bytes", maxCommand)
}

// relay copies both ways until gitd has closed its side. gitd does so only once the push is signed and its events are
// stored, so git's return means that.
func relay(in, out, socket *os.File) error {
	go func() {
		// Errors of this direction show as the end of the other one: gitd sees a cut stream and says so, or is gone.
		_ = copyFile(socket, in)
		closeWrite(socket)
	}()
	err := copyFile(out, socket)
	if errors.Is(err, syscall.EPIPE) {
		// Git has what it wanted to know and does not read to the end.
		_, err = io.Copy(io.Discard, socket)
	}
	if err != nil {
		return fmt.Errorf("connection to gitd lost: %w", err)
	}
	return nil
}
