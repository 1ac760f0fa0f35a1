package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A server is a transport's echo server in a process of its own.
type server struct {
	transport transport
	path      string
	cmd       *exec.Cmd
}

func startServer(t transport, dir string) (*server, error) {
	path := filepath.Join(dir, strings.Map(alphanumeric, t.name)+".sock")
	cmd := exec.Command(os.Args[0], "-serve", t.name, "-socket", path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for range 500 {
		if _, err := os.Stat(path); err == nil {
			return &server{t, path, cmd}, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("%s: server does not listen", t.name)
}

func alphanumeric(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// idleKiB is what one of n idle connections adds to the server's resident memory.
func (s *server) idleKiB(n int) (float64, error) {
	before, err := s.residentKiB()
	if err != nil {
		return 0, err
	}
	for range n {
		c, err := s.transport.dial(s.path)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		if err := c.Echo([]byte("ping")); err != nil {
			return 0, err
		}
	}
	after, err := s.residentKiB()
	return float64(after-before) / float64(n), err
}

func (s *server) residentKiB() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	line, _, _ := strings.Cut(rest, "kB")
	return strconv.Atoi(strings.TrimSpace(line))
}
