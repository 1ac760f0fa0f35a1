package supervisor

import (
	"bufio"
	"context"
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

	"github.com/lnk-suite/lnk/ipc"
)

const (
	raceIdle    = 20 * time.Millisecond
	raceClients = 16 // each with a service of its own, so that every daemon is left alone in time
)

// Requests that arrive when the daemon is just leaving: each is answered, and executed once.
func TestRequestsAroundIdleExit(t *testing.T) {
	tests := []struct {
		name     string
		requests int
		env      string // of the daemons
		client   func(path, log string) asker
	}{
		{"connection per request", 10_000, "", func(path, log string) asker { return &lineClient{path: path, log: log} }},
		{"one connection", 10_000, "", func(path, log string) asker { return &lineClient{path: path, log: log, keep: true} }},
		{"connections hold the daemon", 200, "TESTD_HOLD=1", func(path, log string) asker { return &lineClient{path: path, log: log} }},
		{"ipc client", 2000, "TESTD_IPC=1", func(path, log string) asker { return &ipcClient{ipc.NewClient(path, "race"), log} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.env)
			r.cfg.Sockets = func() (list []Socket, err error) {
				for i := range raceClients {
					list = append(list, r.socket(fmt.Sprint("s", i), "--idle="+raceIdle.String()))
				}
				return list, nil
			}
			r.up(t)
			each := test.requests / raceClients
			results := make([]raceResult, raceClients)
			var clients sync.WaitGroup
			for i := range results {
				clients.Go(func() {
					results[i] = race(test.client(r.dirs.Socket(fmt.Sprint("s", i), ""), filepath.Join(r.dir, fmt.Sprint("log", i))), each)
				})
			}
			clients.Wait()
			var total raceResult
			for i, result := range results {
				total.add(result)
				checkExecutedOnce(t, filepath.Join(r.dir, fmt.Sprint("log", i)), each)
			}
			t.Logf("%d requests, %d instances, %d safe retries, %d ambiguous", test.requests, total.instances, total.retries, total.ambiguous)
			if total.err != nil || total.ambiguous > 0 {
				t.Errorf("%d ambiguous, first error: %v", total.ambiguous, total.err)
			}
			if total.instances < test.requests/10 {
				t.Errorf("only %d instances: the requests missed the moment of leaving", total.instances)
			}
		})
	}
}

func checkExecutedOnce(t *testing.T, file string, n int) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(content))
	want := make([]string, n)
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

// asker is a client in the race. Request logs line i and returns who did.
type asker interface {
	request(i int) (pid int, err error)
	close() raceResult
}

// race makes n requests about when the daemon decides to leave. After one that met the same process again it waits longer,
// after one that met the next less, and by more: so they gather around the exit on a slow machine too, and most do not
// cost the start of a daemon.
func race(c asker, n int) raceResult {
	last, instances, wait := 0, 0, raceIdle
	var err error
	for i := range n {
		var pid int
		if pid, err = c.request(i); err != nil {
			err = fmt.Errorf("request %d: %w", i, err)
			break
		}
		step := time.Duration(rand.Float64() * float64(time.Millisecond))
		if wait += step; pid != last {
			instances++
			wait -= 4 * step
		}
		last = pid
		<-time.After(wait)
	}
	result := c.close()
	result.instances, result.err = instances, err
	return result
}

// lineClient is the simplest client that retries what is provably safe: a request whose write failed.
type lineClient struct {
	path, log string
	keep      bool

	conn   net.Conn
	in     *bufio.Reader
	result raceResult
}

func (c *lineClient) request(i int) (pid int, err error) {
	for {
		if err := c.connect(); err != nil {
			return 0, err
		}
		_, err = fmt.Fprintf(c.conn, "log %s %d\n", c.log, i)
		if !errors.Is(err, syscall.EPIPE) {
			break
		}
		c.result.retries++
		c.drop()
	}
	if err != nil {
		return 0, err
	}
	answer, err := c.in.ReadString('\n')
	if err != nil {
		c.result.ambiguous++
		return 0, err
	}
	if !c.keep {
		c.drop()
	}
	_, err = fmt.Sscan(answer, &pid)
	return pid, err
}

func (c *lineClient) connect() (err error) {
	if c.conn != nil {
		return nil
	}
	if c.conn, err = net.Dial("unix", c.path); err != nil {
		return err
	}
	c.in = bufio.NewReader(c.conn)
	return c.conn.SetDeadline(time.Now().Add(time.Minute))
}

func (c *lineClient) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *lineClient) close() raceResult {
	c.drop()
	return c.result
}

// ipcClient is the client of the suite, which retries by itself.
type ipcClient struct {
	*ipc.Client
	log string
}

func (c *ipcClient) request(i int) (int, error) {
	return logMethod.Call(context.Background(), c.Client, logArgs{c.log, fmt.Sprint(i)})
}

func (c *ipcClient) close() raceResult { return raceResult{err: c.Close()} }
