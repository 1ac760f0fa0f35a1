package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/profile"
)

// A position is how far lnk sub --durable NAME has come: a file <state>/sub/NAME, held by one process at a time. A position
// without a file only counts.
type position struct {
	path string    // empty: nothing is stored
	lock *os.File  // held while the position is open
	last uint64    // everything up to here was dealt with, before this process
	born time.Time // of the stream whose numbers these are

	mu sync.Mutex
	// in flight or done, in the order in which they were received; the first one is in flight
	open []openEvent
}

type openEvent struct {
	seq  uint64
	done bool
}

type storedPosition struct {
	Seq  uint64    `json:"seq"`
	Born time.Time `json:"born"`
}

func openPosition(dirs profile.Dirs, name string) (*position, error) {
	if name == "" {
		return &position{}, nil
	}
	if err := profile.CheckName(name); err != nil {
		return nil, ipc.Errorf(ipc.BadRequest, "cannot use %q as a name for --durable: use up to 64 of a-z, 0-9, -, _ and .", name)
	}
	p := &position{path: filepath.Join(dirs.State, "sub", name)}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return nil, fmt.Errorf("cannot remember the position: %w", err)
	}
	if err := p.acquire(name); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	var stored storedPosition
	if err == nil {
		err = json.Unmarshal(data, &stored)
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("cannot read the position %s: %w", p.path, err)
	}
	p.last, p.born = stored.Seq, stored.Born
	return p, nil
}

// meet compares the position with what the bus has stored. It returns false if the bus began anew since, or lost events and
// gives their numbers out again, so that its numbers name other events: then nothing of it was dealt with.
func (p *position) meet(state pubsub.State) bool {
	same := p.last == 0 || p.born.Equal(state.Since) && p.last <= state.Last
	if !same {
		p.last = 0
	}
	p.born = state.Since
	return same
}

func (p *position) acquire(name string) error {
	lock, err := os.OpenFile(p.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot remember the position: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return ipc.Errorf(ipc.Conflict, "another lnk sub uses --durable %s", name).WithHint("choose another name, or end the other one")
	}
	p.lock = lock
	return nil
}

// begin notes that an event was received.
func (p *position) begin(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, openEvent{seq: seq})
}

// done notes that an event was dealt with, and stores how far everything has been.
func (p *position) done(seq uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.open {
		if p.open[i].seq == seq {
			p.open[i].done = true
		}
	}
	var upTo uint64
	for len(p.open) > 0 && p.open[0].done {
		upTo, p.open = p.open[0].seq, p.open[1:]
	}
	if upTo == 0 || p.path == "" {
		return nil
	}
	data, err := json.Marshal(storedPosition{upTo, p.born})
	if err != nil {
		return err
	}
	return profile.WriteFile(p.path, append(data, '\n'), 0o600)
}

func (p *position) close() {
	if p.lock != nil {
		p.lock.Close()
	}
}
