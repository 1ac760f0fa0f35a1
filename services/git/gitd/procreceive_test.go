package gitd

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/git/pktline"
	"github.com/lnk-suite/lnk/services/project"
)

const zeros = "0000000000000000000000000000000000000000"

func packets(groups ...[]string) string {
	var b []byte
	for _, lines := range groups {
		for _, line := range lines {
			b = pktline.Append(b, line)
		}
		b = pktline.AppendFlush(b)
	}
	return string(b)
}

func TestReadOrder(t *testing.T) {
	one := strings.Repeat("1", 40)
	in := packets([]string{"version=1\x00push-options atomic"}, []string{zeros + " " + one + " refs/heads/a b"}, []string{"option", ""})
	var out bytes.Buffer
	o, err := readOrder(strings.NewReader(in), &out)
	if err != nil {
		t.Fatal(err)
	}
	if want := packets([]string{"version=1\x00atomic push-options"}); out.String() != want {
		t.Errorf("answered %q, want %q", out.String(), want)
	}
	want := command{ref: "refs/heads/a b", new: project.OID(bytes.Repeat([]byte{0x11}, 20))}
	if !o.atomic || len(o.commands) != 1 || *o.commands[0] != want {
		t.Errorf("read %+v", o)
	}
}

func TestReadOrderRefuses(t *testing.T) {
	hello := []string{"version=1\x00atomic"}
	for name, in := range map[string]string{
		"nothing":         "",
		"other version":   packets([]string{"version=2"}, nil),
		"no commands end": strings.TrimSuffix(packets(hello, []string{zeros + " " + zeros + " refs/heads/a"}), "0000"),
		"short command":   packets(hello, []string{zeros + " " + zeros}),
		"bad object id":   packets(hello, []string{"x " + zeros + " refs/heads/a"}),
		"sha256":          packets(hello, []string{zeros + " " + strings.Repeat("1", 64) + " refs/heads/a"}),
		"many options":    packets([]string{"version=1\x00push-options"}, nil, []string{strings.Repeat("x", 40000), strings.Repeat("x", 40000)}),
	} {
		if o, err := readOrder(strings.NewReader(in), &bytes.Buffer{}); err == nil {
			t.Errorf("%s: read %+v, want an error", name, o)
		}
	}
}

func TestReport(t *testing.T) {
	o := &order{commands: []*command{{ref: "refs/heads/a"}, {ref: "refs/heads/b", refused: "two\nlines " + strings.Repeat("x", 500)}}}
	got := string(o.report())
	if !strings.Contains(got, "ok refs/heads/a") || !strings.Contains(got, "ng refs/heads/b two lines xxx") || strings.Contains(got, "\n") || len(got) > 600 {
		t.Errorf("report %q", got)
	}
}

func FuzzReadOrder(f *testing.F) {
	f.Add(packets([]string{"version=1\x00push-options atomic"}, []string{zeros + " " + zeros + " refs/heads/a"}, []string{"option"}))
	f.Add(packets([]string{"version=1"}, nil))
	f.Fuzz(func(t *testing.T, in string) {
		o, err := readOrder(strings.NewReader(in), &bytes.Buffer{})
		if err != nil {
			return
		}
		for _, c := range o.commands {
			if checkName(c.ref) != "" {
				continue
			}
			// What is accepted must not be able to say anything else to update-ref.
			if lines := strings.Count(script([]update{{c.ref, c.old, c.new}}), "\n"); lines != 4 {
				t.Errorf("%q makes %d lines", c.ref, lines)
			}
		}
	})
}

func TestConflicts(t *testing.T) {
	for _, test := range []struct {
		said, ref string
		moved     bool
	}{
		{"fatal: prepare: cannot lock ref 'refs/a': is at 1 but expected 2", "refs/a", true},
		{"fatal: prepare: cannot lock ref 'refs/a': reference already exists", "refs/a", true},
		{"fatal: prepare: cannot lock ref 'refs/a/b': 'refs/a' exists; cannot create 'refs/a/b'", "refs/a/b", false},
		{"fatal: prepare: cannot process 'refs/a' and 'refs/a/b' at the same time", "refs/a/b", false},
		{"fatal: prepare: cannot lock ref 'refs/a': Unable to create '/x/refs/a.lock': File exists.\n\nAnother git process", "refs/a", false},
		{"fatal: unable to write: No space left on device", "", false},
	} {
		conflict, ok := asConflict(errorString(test.said)).(*refConflict)
		if ok != (test.ref != "") || ok && (conflict.ref != test.ref || conflict.moved() != test.moved) {
			t.Errorf("%q became %+v", test.said, conflict)
		}
	}
}

type errorString string

func (e errorString) Error() string { return string(e) }
