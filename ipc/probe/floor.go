package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// messageSize in bytes is about that of a ping.
	messageSize = 32
	// echoFD is where Echo finds its socket: behind the standard streams.
	echoFD = 3
)

// A Floor is a socket pair whose other end is another process that sends back what it gets, one write for each message.
type Floor struct {
	conn net.Conn
	in   *bufio.Reader
	peer *exec.Cmd
	buf  [messageSize]byte
}

// NewFloor starts echo, a program that calls Echo.
func NewFloor(ctx context.Context, echo ...string) (*Floor, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make a pair of sockets: %w", err)
	}
	syscall.CloseOnExec(fds[0])
	syscall.CloseOnExec(fds[1])
	ours, theirs := os.NewFile(uintptr(fds[0]), "floor"), os.NewFile(uintptr(fds[1]), "floor")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("cannot use a pair of sockets: %w", err)
	}
	peer := exec.CommandContext(ctx, echo[0], echo[1:]...)
	peer.ExtraFiles = []*os.File{theirs}
	if err := peer.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot start the floor: %w", err)
	}
	return &Floor{conn: conn, in: bufio.NewReader(conn), peer: peer}, nil
}

// Close ends the other process.
func (f *Floor) Close() error {
	f.conn.Close()
	return f.peer.Wait()
}

// Echo is the other process. It returns when the first hangs up.
func Echo() error {
	file := os.NewFile(echoFD, "floor")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("there is no socket to echo: %w", err)
	}
	defer conn.Close()
	in, buf := bufio.NewReader(conn), make([]byte, messageSize)
	for {
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil
		}
		if _, err := conn.Write(buf); err != nil {
			return nil
		}
	}
}

func (f *Floor) call(context.Context) error {
	if _, err := f.conn.Write(f.buf[:]); err != nil {
		return err
	}
	_, err := io.ReadFull(f.in, f.buf[:])
	return err
}

// many writes in one goroutine and reads in another; tokens bound what is in flight.
func (f *Floor) many(ctx context.Context, n, limit int, slice time.Duration) (calls int, err error) {
	tokens, written := make(chan struct{}, n), make(chan error, 1)
	go func() {
		defer close(tokens)
		written <- f.write(ctx, tokens, limit, slice)
	}()
	for range tokens {
		if _, err = io.ReadFull(f.in, f.buf[:]); err != nil {
			f.conn.Close() // so that write ends
			break
		}
		calls++
	}
	return calls, errors.Join(err, <-written)
}

func (f *Floor) write(ctx context.Context, tokens chan<- struct{}, limit int, slice time.Duration) error {
	message := make([]byte, messageSize)
	for start, n := time.Now(), 0; time.Since(start) < slice && (limit == 0 || n < limit); n++ {
		select {
		case tokens <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := f.conn.Write(message); err != nil {
			return err
		}
	}
	return nil
}
