package trust

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestAgendaWarns(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	in := func(days int) time.Time { return now.AddDate(0, 0, days) }
	until := in(3)
	past := now
	a := Agenda{
		Repository: "apps",
		Roles:      []RoleStatus{{Role: RoleRoot, Expires: in(30)}, {Role: "docs", Expires: in(-2)}, {Role: "late", Expires: in(31)}},
		Pending: []PendingRole{
			{Role: RoleRoot, Version: 4, Deadline: &until, Needed: 2, Before: 1, Signers: []Signer{{Signed: true, Old: true, New: true}, {New: true}, {Old: true}}},
			{Role: "docs", Version: 2, Needed: 1}, {Role: "over", Version: 9, Deadline: &past},
		},
	}
	var got []string
	for _, w := range a.Warnings(now) {
		got = append(got, fmt.Sprintf("%s (%s)", w.Text, w.Hint))
	}
	want := []string{
		"root of repository apps expires on 2026-05-31T00:00:00Z, in 30 days (lnk trust update --days 365 -r apps)",
		"docs of repository apps has expired on 2026-04-29T00:00:00Z: clients refuse it (lnk trust renew -r apps docs)",
		"root version 4 of repository apps waits for signatures: 1 of 2, of the old keys 1 of 1, until 2026-05-04T00:00:00Z (lnk trust show -r apps)",
		"docs version 2 of repository apps waits for signatures: 0 of 1 (lnk trust show -r apps docs)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestReadAgendas: one that is broken does not hide the others.
func TestReadAgendas(t *testing.T) {
	dir := t.TempDir()
	if list, err := ReadAgendas(filepath.Join(dir, "none")); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	for name, data := range map[string]string{"a": "{", "b": `{"repository":"b"}`, "c": ""} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if data == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name, AgendaFile), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := ReadAgendas(dir); err == nil || len(list) != 1 || list[0].Repository != "b" {
		t.Error(list, err)
	}
}

func FuzzAgenda(f *testing.F) {
	until := time.Unix(1<<31, 0)
	seed, err := json.Marshal(Agenda{Repository: "a", Roles: []RoleStatus{{Role: "root"}}, Pending: []PendingRole{{Role: "x", Deadline: &until, Signers: []Signer{{New: true}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		var a Agenda
		if json.Unmarshal(data, &a) != nil {
			return
		}
		if got := len(a.Warnings(time.Unix(0, 0))); got > len(a.Roles)+len(a.Pending) {
			t.Errorf("%d warnings", got)
		}
	})
}
