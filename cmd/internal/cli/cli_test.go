package cli

import (
	"bytes"
	"strings"
	"testing"
)

// testState has empty streams and an environment of its own.
func testState(t *testing.T) State {
	return State{
		Stdin:   strings.NewReader(""),
		Stdout:  &bytes.Buffer{},
		Stderr:  &bytes.Buffer{},
		Getenv:  func(name string) string { return map[string]string{"LNK_HOME": t.TempDir()}[name] },
		Environ: func() []string { return nil },
	}
}

// lnk runs one command line in process.
func lnk(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	state := testState(t)
	status = Main(t.Context(), state, args)
	return state.Stdout.(*bytes.Buffer).String(), state.Stderr.(*bytes.Buffer).String(), status
}

func TestUsageErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		stderr string
	}{
		{"unknown command", []string{"frob"}, "lnk: there is no command \"lnk frob\"\nlnk: hint: lnk --help lists the commands\n"},
		{"similar command", []string{"completoin"}, "lnk: there is no command \"lnk completoin\"\nlnk: hint: did you mean \"lnk completion\"?\n"},
		{"unknown verb", []string{"generate", "man1"}, "lnk: there is no command \"lnk generate man1\"\nlnk: hint: did you mean \"lnk generate man\"?\n"},
		{"noun alone", []string{"generate"}, "lnk: lnk generate needs a command\nlnk: hint: lnk help generate\n"},
		{"nothing", nil, "lnk: lnk needs a command\nlnk: hint: lnk help\n"},
		{"unknown flag", []string{"completion", "--frob", "bash"}, "lnk: unknown flag: --frob\nlnk: hint: lnk help completion\n"},
		{"argument missing", []string{"completion"}, "lnk: SHELL is missing\nlnk: hint: lnk help completion\n"},
		{"argument too many", []string{"completion", "bash", "zsh"}, "lnk: unexpected argument \"zsh\"\nlnk: hint: lnk help completion\n"},
		{"format unknown", []string{"-o", "xml", "completion", "bash"}, "lnk: invalid argument \"xml\" for \"-o, --output\" flag: want text, json or cbor\nlnk: hint: lnk help completion\n"},
		{"no such help", []string{"help", "frob"}, "lnk: there is no command \"lnk frob\"\nlnk: hint: lnk --help lists the commands\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, status := lnk(t, test.args...)
			if status != exitUsage || stdout != "" || stderr != test.stderr {
				t.Errorf("lnk %q: status %d, stdout %q, stderr\n%s\nwant\n%s", test.args, status, stdout, stderr, test.stderr)
			}
		})
	}
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"help", "completion"}, {"completion", "--help"}, {"--version"}} {
		stdout, stderr, status := lnk(t, args...)
		if status != exitOK || stderr != "" || !strings.Contains(stdout, "lnk") {
			t.Errorf("lnk %q: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
}
