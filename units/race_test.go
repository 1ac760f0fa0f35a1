package units

import (
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	raceRequests = 1000
	raceDaemons  = 4
	raceIdle     = 40 * time.Millisecond
)

// testExitRace times requests so that they hit the moment in which the daemon leaves. None may be lost, and none may
// be in doubt: written, but neither answered nor refused.
func (r *rig) testExitRace(t *testing.T) {
	for name, persistent := range map[string]bool{"connection per request": false, "persistent connection": true} {
		t.Run(name, func(t *testing.T) {
			var all raceResult
			var mu sync.Mutex
			var wg sync.WaitGroup
			for n := range raceDaemons {
				_, socket := r.peer(t, byte(16+n), idle(raceIdle.String()), "[Socket]\nTriggerLimitIntervalSec=0\n")
				wg.Go(func() {
					got := race(socket, persistent)
					mu.Lock()
					defer mu.Unlock()
					all.add(got)
				})
			}
			wg.Wait()
			t.Logf("%+v", all)
			if all.lost > 0 || all.requests != raceRequests {
				t.Errorf("%d of %d requests lost: %v", all.lost, all.requests, all.err)
			}
			if all.same < raceRequests/10 || all.fresh < raceRequests/10 {
				t.Errorf("the requests did not meet the exit: %+v", all)
			}
		})
	}
}

type raceResult struct {
	requests, same, fresh, resent, lost int
	err                                 error
}

func (a *raceResult) add(b raceResult) {
	a.requests += b.requests
	a.same += b.same
	a.fresh += b.fresh
	a.resent += b.resent
	a.lost += b.lost
	a.err = errors.Join(a.err, b.err)
}

// race makes the requests of one daemon. Whether the last one met the same process again moves the next one later, else
// earlier: so they gather around the exit, on a slow machine too.
func race(socket string, persistent bool) (res raceResult) {
	c := &raceClient{socket: socket, persistent: persistent}
	defer c.close()
	wait, step, last := raceIdle, 3*time.Millisecond, ""
	for i := range raceRequests / raceDaemons {
		time.Sleep(wait) // the moment of the request is what is tested
		answer, err := c.ask()
		res.requests++
		switch {
		case err != nil:
			res.lost++
			res.err = errors.Join(res.err, err)
		case answer == last:
			res.same++
			wait += step
		default:
			res.fresh++
			wait -= step
		}
		last = answer
		step = time.Duration(1+i%7) * 300 * time.Microsecond
	}
	res.resent = c.resent
	return res
}

// raceClient sends again only what was certainly not executed: what could not be written.
type raceClient struct {
	socket     string
	persistent bool
	conn       net.Conn
	resent     int
}

func (c *raceClient) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *raceClient) ask() (string, error) {
	if !c.persistent {
		defer c.close()
	}
	for {
		if c.conn == nil {
			conn, err := net.DialTimeout("unix", c.socket, raceDeadline)
			if err != nil {
				return "", err
			}
			c.conn = conn
		}
		_ = c.conn.SetDeadline(time.Now().Add(raceDeadline))
		_, err := c.conn.Write([]byte("x"))
		if errors.Is(err, syscall.EPIPE) {
			c.resent++
			c.close()
			continue
		}
		if err != nil {
			return "", err
		}
		answer := make([]byte, 64)
		n, err := c.conn.Read(answer)
		return strings.TrimSpace(string(answer[:n])), err
	}
}

const raceDeadline = 20 * time.Second
