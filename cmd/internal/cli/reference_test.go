package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

const referenceFile = "../../../docs/commands.md"

const referenceHead = `# Commands

The help of every command, as ` + "`lnk help COMMAND`" + ` prints it. Do not edit: ` + "`go test ./cmd/internal/cli -run Reference -update`" + `
writes it anew.

What holds for all of them: results go to standard output, everything else to standard error; ` + "`-o text|json|cbor`" + ` chooses how
results look; an error is one line, ` + "`lnk: cannot …: cause`" + `, and where there is a cure a second, ` + "`lnk: hint: …`" + `; the exit status
means the same everywhere:

`

// TestReference keeps docs/commands.md what the help texts say.
func TestReference(t *testing.T) {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, code := range []int{exitOK, exitFailure, exitUsage, exitPartial, exitNotFound, exitConflict, exitUnavailable, exitNoKey, exitNotPermitted, exitDeadline, exitInterrupted} {
		fmt.Fprintf(&b, "- %d: %s\n", code, exitMeaning[code])
	}
	state := testState(t)
	root := newRoot(&app{State: state})
	each(root, func(c *cobra.Command) {
		if c.Hidden || c.HasParent() && c.Parent().Hidden {
			return
		}
		help := state.Stdout.(*bytes.Buffer)
		help.Reset()
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n## %s\n\n```\n%s\n```\n", c.CommandPath(), strings.TrimSpace(help.String()))
	})
	if *update {
		if err := os.WriteFile(referenceFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil || string(got) != b.String() {
		t.Errorf("docs/commands.md is not what the commands say (%v): run this test with -update", err)
	}
}
