package cli

import "testing"

func TestRulesOf(t *testing.T) {
	const cddl = `; a service

; a.one (read): says one, not two
a.one = {
  0: "a.one",
  1: args, ; not other
}

a.one.result = shared

args = { 0: deep }

deep = tstr

shared = uint

a.one-more = other

other = bool
`
	const want = `; a.one (read): says one, not two
a.one = {
  0: "a.one",
  1: args, ; not other
}

a.one.result = shared

args = { 0: deep }

shared = uint

deep = tstr
`
	if got := rulesOf(cddl, "a.one"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := rulesOf(cddl, "a.none"); got != "\n" {
		t.Errorf("rules of a method that is not there: %q", got)
	}
}
