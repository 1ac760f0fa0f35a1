package client

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/trust"
)

// roles lists what a report says of them: "root 1 1/1".
func (r Report) roles() string {
	var all []string
	for _, role := range r.Roles {
		all = append(all, fmt.Sprintf("%s %d %d/%d", role.Role, role.Version, len(role.Signers), role.Threshold))
	}
	return strings.Join(all, ", ")
}

func (r Report) faults() string {
	var all []string
	for _, err := range r.Faults {
		all = append(all, err.Error())
	}
	return strings.Join(all, "\n")
}

func TestSurvey(t *testing.T) {
	tests := map[string]struct {
		change func(w *world)
		names  []string
		roles  string
		good   int
		faults []string // parts of each
	}{
		"all is well": {
			roles: "root 1 1/1, timestamp 2 1/1, snapshot 2 1/1, targets 2 1/1, A 1 1/1", good: 3,
		},
		"one is asked for": {
			names: []string{"a/two"}, roles: "root 1 1/1, timestamp 2 1/1, snapshot 2 1/1, targets 2 1/1, A 1 1/1", good: 1,
		},
		"one that is not there": {
			names: []string{"b"}, roles: "root 1 1/1, timestamp 2 1/1, snapshot 2 1/1, targets 2 1/1, A 1 1/1", faults: []string{`no target "b"`},
		},
		"bad targets": {
			change: func(w *world) { w.sim.files["a/two"], w.sim.files["one"] = []byte("TWO"), nil },
			roles:  "root 1 1/1, timestamp 2 1/1, snapshot 2 1/1, targets 2 1/1, A 1 1/1", good: 1,
			faults: []string{"a/two: its sha256 hash", "one: it has 0 bytes, not 3"},
		},
		"a role is not signed": {
			change: func(w *world) { w.amend("A", func(file doc) { file["signatures"] = []doc{} }) },
			roles:  "root 1 1/1, timestamp 2 1/1, snapshot 2 1/1, targets 2 1/1", good: 1,
			faults: []string{"A: version 1 has 0 of 1 signatures needed"},
		},
		"the snapshot has expired": {
			change: func(w *world) {
				w.docs["snapshot"]["expires"] = inDays(-1)
				w.publish("snapshot", "timestamp")
			},
			roles: "root 1 1/1, timestamp 3 1/1", faults: []string{"snapshot: version 3 expired on 2031-04-30T12:00:00Z"},
		},
		"the root has expired": {
			change: func(w *world) {
				w.docs["root"]["expires"] = inDays(0)
				w.publish("root")
			},
			roles: "root 2 1/1", faults: []string{"root: version 2 expired on 2031-05-01T12:00:00Z"},
		},
		"nobody answers": {
			change: func(w *world) { w.url = "http://127.0.0.1:1" },
			roles:  "root 1 1/1", faults: []string{"connection refused"},
		},
		"roles that delegate to each other": {
			change: func(w *world) {
				w.delegate("A", "B", doc{"paths": []string{"*"}})
				w.delegate("B", "A", doc{"paths": []string{"*"}})
				w.publish("A", "B", "snapshot", "timestamp")
			},
			roles: "root 1 1/1, timestamp 3 1/1, snapshot 3 1/1, targets 2 1/1, A 2 1/1, B 1 1/1", good: 3,
		},
		"more bins than can be counted": {
			change: func(w *world) {
				w.docs["targets"]["delegations"] = nil
				w.succinct("bins", 1)
				w.in("targets", "delegations", "succinct_roles")["bit_length"] = 32
				w.docs["bins-00000001"] = w.docs["bins-0"]
				w.signers["bins-00000001"] = w.signers["bins-0"]
				w.publish("bins-00000001")
				w.everything()
			},
			names: []string{"one"},
			roles: "root 1 1/1, timestamp 3 1/1, snapshot 3 1/1, targets 3 1/1, bins-00000001 1 1/1", good: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ours{})
			w.addFile("targets", "one", "one")
			w.delegate("targets", "A", doc{"paths": []string{"a/*"}})
			w.addFile("A", "a/two", "two")
			w.addFile("A", "a/three", "three")
			w.publish("A")
			w.everything()
			if test.change != nil {
				test.change(w)
			}
			report := w.survey(test.names...)
			if got := report.roles(); got != test.roles {
				t.Errorf("roles %s, want %s", got, test.roles)
			}
			if report.Targets != test.good || len(report.Faults) != len(test.faults) {
				t.Errorf("%d targets are right, faults:\n%s", report.Targets, report.faults())
			}
			for i, part := range test.faults {
				if i < len(report.Faults) && !strings.Contains(report.Faults[i].Error(), part) {
					t.Errorf("fault %v, want %q", report.Faults[i], part)
				}
			}
		})
	}
}

// TestSurveyNames: holders have the names that the document of their keys gives them, in any of the usual forms.
func TestSurveyNames(t *testing.T) {
	w := newWorld(t, ours{})
	id := w.signers["timestamp"][0].id
	w.docs["root"][trust.NamesMember] = doc{id: "ann", "other": "nobody"}
	w.addKey("root", newSigner("ed25519", doc{"x-rstuf-key-name": "ben"}))
	w.publish("root")
	w.delegate("targets", "A", doc{"paths": []string{"*"}})
	k := w.signers["A"][0]
	k.public["x-tuf-on-ci-keyowner"] = "@eve"
	w.publish("A")
	w.everything()
	got := map[string]string{}
	for _, r := range w.survey().Roles {
		for _, s := range r.Signers {
			got[r.Role] += s.Name + ";" + string(s.Peer)[:min(4, len(s.Peer))] + " "
		}
	}
	want := map[string]string{"root": "; ben;z6Mk ", "timestamp": "ann; ", "snapshot": "; ", "targets": "; ", "A": "@eve; "}
	if !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
