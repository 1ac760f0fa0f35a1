package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/services/profile"
)

func open(t *testing.T, dirs profile.Dirs) *position {
	t.Helper()
	p, err := openPosition(dirs, "ci")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// TestPositionWaitsForEarlierEvents: what was dealt with behind an event in flight does not count until that is done.
func TestPositionWaitsForEarlierEvents(t *testing.T) {
	dirs := profile.Dirs{State: t.TempDir()}
	p := open(t, dirs)
	stream := pubsub.State{Since: time.Unix(1, 0).UTC(), Last: 12}
	if !p.meet(stream) {
		t.Error("a new position belongs to another stream")
	}
	for _, seq := range []uint64{3, 7, 9, 12} {
		p.begin(seq)
	}
	for _, step := range []struct {
		done   uint64
		stored string
	}{{7, ""}, {9, ""}, {3, `{"seq":9,"born":"1970-01-01T00:00:01Z"}`}, {12, `{"seq":12,"born":"1970-01-01T00:00:01Z"}`}} {
		if err := p.done(step.done); err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(filepath.Join(dirs.State, "sub", "ci")) // not there yet: empty
		if got := strings.TrimSpace(string(data)); got != step.stored {
			t.Errorf("after %d: stored %q, want %q", step.done, got, step.stored)
		}
	}
	p.close()
	for _, other := range []pubsub.State{{Since: time.Unix(2, 0), Last: 12}, {Since: stream.Since, Last: 11}} {
		again := open(t, dirs)
		if again.last != 12 {
			t.Errorf("the next one begins behind %d, want 12", again.last)
		} else if !again.meet(stream) || again.last != 12 {
			t.Error("the stream is taken for another")
		} else if again.meet(other) || again.last != 0 {
			t.Errorf("a stream that began anew or lost events is taken for the old one: %+v", other)
		}
		again.close()
	}
}

func TestPositionIsHeldByOne(t *testing.T) {
	dirs := profile.Dirs{State: t.TempDir()}
	p := open(t, dirs)
	if _, err := openPosition(dirs, "ci"); !errors.Is(err, ipc.Conflict) {
		t.Errorf("the second one got %v", err)
	}
	p.close()
	open(t, dirs)
}

func TestPositionRefusesWhatItCannotRead(t *testing.T) {
	dirs := profile.Dirs{State: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(dirs.State, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dirs.State, "sub", "ci"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openPosition(dirs, "ci"); err == nil {
		t.Error("a damaged position was taken for none")
	}
	if _, err := openPosition(dirs, "../x"); !errors.Is(err, ipc.BadRequest) {
		t.Errorf("a name with a folder got %v", err)
	}
}
