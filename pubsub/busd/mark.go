package busd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
)

// A mark is what the store held when the bus left in order. nats-server opens a store whose blocks were cut or have
// decayed without a word: it drops what it cannot read, and may give its numbers out again. The mark shows it.
type mark struct {
	Last    uint64 // number of the last event
	Deleted int    // events missing between the first and the last
}

const markFile = "closed.json"

// leaveMark writes the mark; takeMark reads and removes it, so that there is none after a crash: a zero one.
func leaveMark(dir string, m mark) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, markFile), data, 0o600)
}

func takeMark(dir string) (m mark) {
	path := filepath.Join(dir, markFile)
	data, err := os.ReadFile(path)
	if err != nil || os.Remove(path) != nil || json.Unmarshal(data, &m) != nil {
		return mark{}
	}
	return m
}

// errMissing says that events which the store held are gone.
var errMissing = errors.New("missing events")

// compare returns an errMissing if a store with this state has lost events since the mark was left. Age takes events away
// only before the first one.
func (m mark) compare(state server.StreamState) error {
	if state.LastSeq < m.Last {
		return fmt.Errorf("%w: from %d to %d", errMissing, state.LastSeq+1, m.Last)
	}
	if state.LastSeq == m.Last && state.NumDeleted > m.Deleted {
		return fmt.Errorf("%w: %d before %d", errMissing, state.NumDeleted-m.Deleted, m.Last)
	}
	return nil
}

// state returns the stream's state, the zero one if there is no stream.
func (e *engine) state() server.StreamState {
	info, err := e.ns.Jsz(&server.JSzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Accounts: true, Streams: true})
	if err != nil {
		return server.StreamState{}
	}
	for _, account := range info.AccountDetails {
		for _, stream := range account.Streams {
			if stream.Name == StreamName {
				return stream.State
			}
		}
	}
	return server.StreamState{}
}
