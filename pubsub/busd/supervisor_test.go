package busd_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/supervisor"
)

// underSupervisor runs lnk-busd as lnk up does and returns where it listens.
func underSupervisor(t *testing.T, idle time.Duration) (profile.Dirs, string) {
	t.Helper()
	home, err := os.MkdirTemp("", "up")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	env := []string{asDaemon + "=1", "LNK_HOME=" + home, "HOME=" + home, "GORACE=atexit_sleep_ms=0"}
	dirs, err := profile.NewDirs(func(key string) string {
		return map[string]string{"LNK_HOME": home, "HOME": home}[key]
	})
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	socket := dirs.Socket("bus", "")
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- supervisor.Run(ctx, supervisor.Config{
			Dirs: dirs, Env: env, Output: os.Stderr, Ready: func() { close(ready) },
			Sockets: func() ([]supervisor.Socket, error) {
				return []supervisor.Socket{{Name: "busd", Service: "bus", Path: socket, Program: program, Args: []string{"--idle", idle.String()}}}, nil
			},
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-ready
	return dirs, socket
}

// TestUnderSupervisor lets the bus leave and come back below lnk up: for each of many publishers, and under a
// subscriber each time that somebody ends it.
func TestUnderSupervisor(t *testing.T) {
	dirs, socket := underSupervisor(t, 20*time.Millisecond)
	const rounds, restarts = 20, 10
	for i := 1; i <= rounds; i++ {
		c := pubsub.NewClient(socket, "test")
		if acks, err := c.Publish(limited(t), numbered(i, i)...); err != nil || acks[0].Seq != uint64(i) {
			t.Fatalf("message %d: %+v, %v", i, acks, err)
		}
		c.Close()
		await(t, dirs, supervisor.Sleeping)
	}
	c := pubsub.NewClient(socket, "test")
	defer c.Close()
	next := 1
	for e, err := range c.Subscribe(limited(t), "rad.>", pubsub.Start{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.ID != fmt.Sprint(next) {
			t.Fatalf("got event %s, want %d", e.ID, next)
		}
		if next == rounds+restarts {
			break
		}
		if next >= rounds {
			if err := syscall.Kill(await(t, dirs, supervisor.Running), syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Publish(limited(t), numbered(next+1, next+1)...); err != nil {
				t.Fatal(err)
			}
		}
		next++
	}
}

// await waits until the bus is in a state and returns its process id.
func await(t *testing.T, dirs profile.Dirs, want supervisor.State) int {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		services, err := supervisor.Status(t.Context(), dirs)
		if err != nil {
			t.Fatal(err)
		}
		if services[0].State == want {
			return services[0].PID
		}
	}
	t.Fatalf("the bus is not %s", want)
	return 0
}
