package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// startServers starts one of every transport. Stop ends those that were started, whatever the error.
func startServers() (servers []*server, stop func(), err error) {
	dir, err := os.MkdirTemp("", "b")
	stop = func() {
		for _, s := range servers {
			s.stop()
		}
		os.RemoveAll(dir)
	}
	if err != nil {
		return nil, stop, err
	}
	for _, t := range transports() {
		s, err := startServer(t, dir)
		if err != nil {
			return servers, stop, err
		}
		servers = append(servers, s)
	}
	return servers, stop, nil
}

func startServer(t transport, dir string) (*server, error) {
	path := filepath.Join(dir, strings.Map(alphanumeric, t.name)+".sock")
	cmd := exec.Command(os.Args[0], "-serve", t.name, "-socket", path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for range 500 {
		if _, err := os.Stat(path + allocations); err == nil {
			return &server{t, path, cmd}, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("%s: server does not listen", t.name)
}

// allocations is appended to a server's path for the socket that tells how many objects the server has allocated.
const allocations = ".allocations"

func serveAllocations(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	_ = acceptAll(l, func(c net.Conn) { fmt.Fprint(c, mallocs()) })
}

func mallocs() (n uint64) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs
}

// mallocs is how many objects the server has allocated.
func (s *server) mallocs() (n uint64, err error) {
	c, err := net.Dial("unix", s.path+allocations)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_, err = fmt.Fscan(c, &n)
	return n, err
}

// allocationsPerCall counts what a call allocates in both processes.
func (s *server) allocationsPerCall(payload []byte) (float64, error) {
	const warmUp, calls = 100, 5000
	c, err := s.transport.dial(s.path)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var here, there uint64
	for i := range warmUp + calls {
		if i == warmUp {
			if there, err = s.mallocs(); err != nil {
				return 0, err
			}
			here = mallocs()
		}
		if err := c.Echo(payload); err != nil {
			return 0, err
		}
	}
	here = mallocs() - here
	now, err := s.mallocs()
	return float64(here+now-there) / calls, err
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
