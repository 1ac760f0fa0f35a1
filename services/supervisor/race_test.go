package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	raceIdle    = 20 * time.Millisecond
	raceClients = 4 // each with a service of its own, so that every daemon is left alone in time
	raceEach    = 250
)

// Requests that arrive when the daemon is just leaving: each is answered, and executed once.
func TestRequestsAroundIdleExit(t *testing.T) {
	for _, mode := range []string{"connection per request", "one connection"} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t)
			r.cfg.Sockets = func() (list []Socket, err error) {
				for i := range raceClients {
					list = append(list, r.socket(fmt.Sprint("s", i), "--idle="+raceIdle.String()))
				}
				return list, nil
			}
			r.up(t)
			results := make([]raceResult, raceClients)
			var clients sync.WaitGroup
			for i := range results {
				clients.Go(func() {
					c := racer{path: r.dirs.Socket(fmt.Sprint("s", i), ""), log: filepath.Join(r.dir, fmt.Sprint("log", i)), keep: mode == "one connection"}
					results[i] = c.race()
				})
			}
			clients.Wait()
			var total raceResult
			for i, result := range results {
				total.add(result)
				checkExecutedOnce(t, filepath.Join(r.dir, fmt.Sprint("log", i)))
			}
			t.Logf("%d requests, %d instances, %d safe retries, %d ambiguous", raceClients*raceEach, total.instances, total.retries, total.ambiguous)
			if total.err != nil || total.ambiguous > 0 {
				t.Errorf("%d ambiguous, first error: %v", total.ambiguous, total.err)
			}
			if total.instances < raceClients*raceEach/10 {
				t.Errorf("only %d instances: the requests missed the moment of leaving", total.instances)
			}
		})
	}
}

func checkExecutedOnce(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(content))
	want := make([]string, raceEach)
	for i := range want {
		want[i] = fmt.Sprint(i)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d requests were executed, want each of %d once and in order: %v", len(got), len(want), got)
	}
}

type raceResult struct {
	instances, retries, ambiguous int
	err                           error
}

func (r *raceResult) add(other raceResult) {
	r.instances += other.instances
	r.retries += other.retries
	r.ambiguous += other.ambiguous
	r.err = errors.Join(r.err, other.err)
}

// racer is the simplest client that retries what is provably safe: a request whose write failed.
type racer struct {
	path, log string
	keep      bool

	conn net.Conn
	in   *bufio.Reader
	raceResult
}

func (c *racer) race() raceResult {
	last := 0
	for i := range raceEach {
		pid, err := c.request(fmt.Sprintf("log %s %d\n", c.log, i))
		if err != nil {
			c.err = fmt.Errorf("request %d: %w", i, err)
			break
		}
		if pid != last {
			c.instances++
		}
		last = pid
		// The daemon decides to leave about now.
		<-time.After(raceIdle + time.Duration((rand.Float64()*3-1.5)*float64(time.Millisecond)))
	}
	if c.conn != nil {
		_ = c.conn.Close()
	}
	return c.raceResult
}

func (c *racer) request(line string) (pid int, err error) {
	for {
		if c.conn == nil {
			if c.conn, err = net.Dial("unix", c.path); err != nil {
				return 0, err
			}
			c.in = bufio.NewReader(c.conn)
			_ = c.conn.SetDeadline(time.Now().Add(30 * time.Second))
		}
		if _, err = c.conn.Write([]byte(line)); errors.Is(err, syscall.EPIPE) {
			c.retries++
			c.drop()
			continue
		}
		if err != nil {
			return 0, err
		}
		answer, err := c.in.ReadString('\n')
		if err != nil {
			c.ambiguous++
			return 0, err
		}
		if !c.keep {
			c.drop()
		}
		_, err = fmt.Sscan(answer, &pid)
		return pid, err
	}
}

func (c *racer) drop() {
	_ = c.conn.Close()
	c.conn = nil
}
