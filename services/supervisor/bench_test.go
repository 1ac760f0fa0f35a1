package supervisor

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
)

// BenchmarkColdConnect is the time from connect to the first reply of a daemon that sleeps. The floor is a bare Go daemon
// that is started directly when its socket becomes readable; the others show what "lnk up" and the skeleton add to it.
func BenchmarkColdConnect(b *testing.B) {
	bin := b.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "./testdata/bare", "./testdata/skeleton").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	bare, skeleton := filepath.Join(bin, "bare"), filepath.Join(bin, "skeleton")
	b.Run("bare started directly", func(b *testing.B) { measure(b, directly(b, bare), echoed) })
	b.Run("bare under lnk up", func(b *testing.B) { measure(b, underUp(b, bare), echoed) })
	b.Run("skeleton under lnk up", func(b *testing.B) { measure(b, underUp(b, skeleton), pinged) })
}

// An activator has a socket at path; rest returns when the daemon has ended and the next connect starts it again.
type activator struct {
	path string
	rest func()
}

// measure reports the median besides the mean: a busy machine spoils the mean.
func measure(b *testing.B, a activator, call func(*testing.B, string)) {
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		call(b, a.path)
		took = append(took, time.Since(start))
		b.StopTimer()
		a.rest()
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
	b.ReportMetric(float64(took[0].Microseconds()), "min-µs")
}

func echoed(b *testing.B, path string) {
	c, err := net.Dial("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		b.Fatal(err)
	}
}

func pinged(b *testing.B, path string) {
	c := ipc.NewClient(path, "bench")
	defer c.Close()
	if _, err := ipc.Ping.Call(b.Context(), c, ipc.Empty{}); err != nil {
		b.Fatal(err)
	}
}

func benchDirs(b *testing.B) profile.Dirs {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return profile.Dirs{Runtime: filepath.Join(dir, "radicle")}
}

func underUp(b *testing.B, program string) activator {
	dirs := benchDirs(b)
	ready := make(chan struct{})
	cfg := Config{Dirs: dirs, Env: []string{"HOME=/"}, Output: os.Stderr, Ready: func() { close(ready) }}
	cfg.Sockets = func() ([]Socket, error) {
		return []Socket{{Name: "test", Service: "test", Path: dirs.Socket("test", ""), Program: program}}, nil
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	<-ready
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	told := 0
	return activator{dirs.Socket("test", ""), func() {
		for {
			states, err := Status(b.Context(), dirs)
			if err != nil {
				b.Fatal(err)
			}
			switch {
			case states[0].State == Sleeping:
				return
			case states[0].Error != "":
				b.Fatal(states[0].Error)
			case states[0].PID > 0 && states[0].PID != told && filepath.Base(program) != "bare":
				told = states[0].PID
				_ = unix.Kill(told, unix.SIGTERM)
			}
			time.Sleep(time.Millisecond)
		}
	}}
}

// directly starts program with the socket as descriptor 3, as soon as somebody connects.
func directly(b *testing.B, program string) activator {
	path := filepath.Join(b.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		b.Fatal(err)
	}
	socket, err := l.File()
	if err != nil {
		b.Fatal(err)
	}
	fd := int32(socket.Fd())
	rested, stopped, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	b.Cleanup(func() {
		close(stopped)
		<-ended
		_, _ = l.Close(), socket.Close()
	})
	go func() {
		defer close(ended)
		for {
			for n := 0; n == 0; n, _ = unix.Poll([]unix.PollFd{{Fd: fd, Events: unix.POLLIN}}, 100) {
				select {
				case <-stopped:
					return
				default:
				}
			}
			cmd := exec.Command(program)
			cmd.ExtraFiles = []*os.File{socket}
			if err := cmd.Run(); err != nil {
				b.Error(err)
			}
			rested <- struct{}{}
		}
	}()
	return activator{path, func() { <-rested }}
}
