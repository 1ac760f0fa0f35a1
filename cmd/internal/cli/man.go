package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lnk-suite/lnk/services/profile"
)

// manDate is the date in the manual pages: fixed, so that the same source makes the same bytes.
const manDate = "November 2026"

// writeManual writes a page for c and for every command below it. It is our own, as cobra's generator comes with two
// Markdown parsers that every start of lnk would pay for.
func writeManual(dir string, c *cobra.Command) error {
	if c.Hidden {
		return nil
	}
	if err := profile.WriteFile(filepath.Join(dir, pageName(c)+".1"), []byte(manual(c)), 0o644); err != nil {
		return err
	}
	for _, sub := range c.Commands() {
		if err := writeManual(dir, sub); err != nil {
			return err
		}
	}
	return nil
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manual renders one page in the man(7) macros.
func manual(c *cobra.Command) string {
	var b strings.Builder
	name := pageName(c)
	fmt.Fprintf(&b, ".TH %q 1 %q lnk lnk\n", strings.ToUpper(name), manDate)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	long, exits, _ := strings.Cut(c.Long, exitHeading)
	b.WriteString(".SH DESCRIPTION\n" + strings.ReplaceAll(roff(strings.TrimSpace(long)), "\n\n", "\n.PP\n") + "\n")
	manualFlags(&b, "OPTIONS", c.NonInheritedFlags())
	manualFlags(&b, "GLOBAL OPTIONS", c.InheritedFlags())
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	b.WriteString(".SH EXIT STATUS\n")
	for line := range strings.Lines(strings.TrimSpace(exits)) {
		code, meaning, _ := strings.Cut(strings.TrimSpace(line), " ")
		fmt.Fprintf(&b, ".TP\n%s\n%s\n", code, roff(strings.TrimSpace(meaning)))
	}
	manualLinks(&b, c)
	return b.String()
}

func manualFlags(b *strings.Builder, heading string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", heading)
	flags.VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(name+" "+value)), roff(usage))
	})
}

func manualLinks(b *strings.Builder, c *cobra.Command) {
	var links []string
	if c.HasParent() {
		links = append(links, pageName(c.Parent())+"(1)")
	}
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			links = append(links, pageName(sub)+"(1)")
		}
	}
	if len(links) > 0 {
		fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", roff(strings.Join(links, ", ")))
	}
}

// roff escapes text: backslashes, hyphens, and what would be a macro at the start of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
