package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// line is what these tests record.
type line struct {
	Text string `json:"text"`
}

func records(t *testing.T, l *Log[line]) []line {
	t.Helper()
	var all []line
	for r, err := range l.Records() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// TestRotation appends from many goroutines, each with its own Log as other processes would have, with a
// small limit: every record is there once and no file is larger.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	const writers, each, limit = 4, 25, 300
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			log := &Log[line]{Path: path, MaxSize: limit}
			for i := range each {
				if err := log.Append(line{fmt.Sprintf("%d/%d", w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	seen := map[string]int{}
	for _, r := range records(t, &Log[line]{Path: path}) {
		seen[r.Text]++
	}
	for w := range writers {
		for i := range each {
			if n := seen[fmt.Sprintf("%d/%d", w, i)]; n != 1 {
				t.Errorf("record %d/%d is there %d times", w, i, n)
			}
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Errorf("nothing was set aside: %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > limit || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
}

// TestAfterCrash: an unfinished line costs only itself.
func TestAfterCrash(t *testing.T) {
	log := &Log[line]{Path: filepath.Join(t.TempDir(), "audit.log")}
	for i, junk := range []string{"", `{"time":"2026-01`, ""} {
		f, err := os.OpenFile(log.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(junk); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := log.Append(line{fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	got := records(t, log)
	if len(got) != 3 || got[0].Text != "0" || got[2].Text != "2" {
		t.Errorf("the log has %v", got)
	}
}

// TestOldestGoes: nine files that were set aside are kept, and what is kept is the newest without a gap.
func TestOldestGoes(t *testing.T) {
	log := &Log[line]{Path: filepath.Join(t.TempDir(), "audit.log"), MaxSize: 40}
	const lines = 50
	for i := range lines {
		if err := log.Append(line{fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(log.Path + "*")
	if err != nil || len(files) != 1+keptLogs {
		t.Errorf("%d files, %v", len(files), err)
	}
	got := records(t, log)
	for i, r := range got {
		if want := fmt.Sprint(lines - len(got) + i); r.Text != want {
			t.Errorf("record %d is %s, want %s", i, r.Text, want)
		}
	}
	if len(got) < keptLogs || len(got) == lines {
		t.Errorf("%d records are left", len(got))
	}
}

// TestNoLine: what cannot be recorded is an error.
func TestNoLine(t *testing.T) {
	if err := (&Log[line]{Path: "/dev/null/log"}).Append(line{"x"}); err == nil {
		t.Error("a line in a folder that cannot be")
	}
	if err := (&Log[func()]{Path: filepath.Join(t.TempDir(), "log")}).Append(nil); err == nil {
		t.Error("a record that JSON cannot hold")
	}
}

// TestLongestLine: a record that could not be read again is refused, and with it those of the same call.
func TestLongestLine(t *testing.T) {
	log := &Log[line]{Path: filepath.Join(t.TempDir(), "audit.log")}
	fits := line{strings.Repeat("x", maxLine-1-len(`{"text":""}`))}
	if err := log.Append(fits); err != nil {
		t.Fatal(err)
	}
	if err := log.Append(line{"short"}, line{fits.Text + "x"}); err == nil {
		t.Error("a line that is too long was stored")
	}
	if got := records(t, log); len(got) != 1 || got[0] != fits {
		t.Errorf("the log has %d records", len(got))
	}
}
