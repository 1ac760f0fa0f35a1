package trustd

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// newTask returns a version 4 UUID without dashes: Repository Service for TUF splits some texts at dashes.
func newTask() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return hex.EncodeToString(id[:])
}

// task is what became of a request over HTTP. Requests are done before they are answered, so a task has always ended.
type task struct {
	ID     string     `json:"task_id"`
	State  string     `json:"state"`
	Result taskResult `json:"result"`
}

type taskResult struct {
	Task       string         `json:"task"`
	Status     bool           `json:"status"`
	LastUpdate string         `json:"last_update"`
	Message    string         `json:"message"`
	Error      string         `json:"error,omitempty"`
	Details    map[string]any `json:"details,omitempty"`
}

// States of tasks, as far as ours have them.
const (
	taskSuccess = "SUCCESS"
	taskErrored = "ERRORED"
	taskPending = "PENDING" // also one that nobody knows
)

// keptTasks is how many results are kept, however old. Of more, those of the last day are.
const keptTasks = 1000

// saveTask keeps a result for whoever asks later. It need not survive a loss of power: nobody has been told the id yet.
func (f folder) saveTask(t task) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	temp := f.unfinished(t.ID)
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, f.task(t.ID))
}

// loadTask returns a task that is pending if nobody knows the id.
func (f folder) loadTask(id string) (task, error) {
	none := task{ID: id, State: taskPending}
	if f.dir == "" || id == "" || strings.Trim(id, "0123456789abcdef") != "" {
		return none, nil
	}
	data, err := os.ReadFile(f.task(id))
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	var t task
	if json.Unmarshal(data, &t) != nil {
		return none, nil // a loss of power has cut it off: nobody knows it any more
	}
	return t, nil
}

// pruneTasks removes old results.
func (f folder) pruneTasks() {
	entries, err := os.ReadDir(filepath.Join(f.dir, "tasks"))
	if err != nil || len(entries) <= keptTasks {
		return
	}
	cutoff := time.Now().Add(-24 * time.Hour)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(cutoff) {
			_ = os.Remove(filepath.Join(f.dir, "tasks", e.Name()))
		}
	}
}

// isoTime is how Repository Service for TUF writes times.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
