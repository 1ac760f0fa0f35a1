package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

// Loaded is what somebody did with AddOptions. The agent protocol has no way to ask for it afterwards.
type Loaded struct {
	// At is when the key was given to the agent.
	At time.Time `json:"at"`
	// Until is when the agent forgets it; zero means never.
	Until time.Time `json:"until,omitzero"`
	// Confirm is whether the agent asks before each signature.
	Confirm bool `json:"confirm,omitempty"`
}

// Loads remembers, in a folder, when each device key was last given to an agent by us. It cannot know what others did:
// what it says is true unless somebody loaded the key again with other tools.
type Loads struct {
	// Dir is the folder, usually profile.Dirs.Loads; it is made if it is missing.
	Dir string
}

// load is a file of Loads. The socket tells one agent from the next at the same path.
type load struct {
	Loaded
	Agent  string `json:"agent"`
	Socket string `json:"socket"`
}

// Remember stores that a was given a key just now. Forgotten records are no harm, so an error is for information.
func (l Loads) Remember(a Agent, id peer.ID, o AddOptions) error {
	seconds, err := o.seconds()
	if err != nil {
		return err
	}
	record := load{Loaded{At: time.Now().UTC().Truncate(time.Second), Confirm: o.Confirm}, a.Path, socketID(a.Path)}
	if seconds > 0 {
		record.Until = record.At.Add(time.Duration(seconds) * time.Second)
	}
	data, err := json.Marshal(record)
	if err == nil {
		err = os.MkdirAll(l.Dir, 0o700)
	}
	if err == nil {
		err = profile.WriteFile(l.file(id), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot remember when key %s was loaded: %w", id, err)
	}
	return nil
}

// Recall says how a was given a key that it holds now. It is false where that is not known: the key was loaded by other
// means, into another agent, or its time had run out and somebody loaded it again.
func (l Loads) Recall(a Agent, id peer.ID) (Loaded, bool) {
	data, err := os.ReadFile(l.file(id))
	var record load
	if err != nil || json.Unmarshal(data, &record) != nil || record.Agent != a.Path || record.Socket != socketID(a.Path) {
		return Loaded{}, false
	}
	return record.Loaded, record.Until.IsZero() || time.Now().Before(record.Until.Add(time.Second))
}

// Forget removes what Remember stored.
func (l Loads) Forget(id peer.ID) error {
	if err := os.Remove(l.file(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot forget when key %s was loaded: %w", id, err)
	}
	return nil
}

func (l Loads) file(id peer.ID) string { return filepath.Join(l.Dir, string(id)+".json") }

// socketID changes with each agent that listens at a path: every one makes a file of its own.
func socketID(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d:%d", stat.Dev, stat.Ino, info.ModTime().UnixNano())
}
