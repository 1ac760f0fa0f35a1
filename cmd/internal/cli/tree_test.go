package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// each calls f for every command of the tree.
func each(c *cobra.Command, f func(c *cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		each(sub, f)
	}
}

func TestEveryCommandIsDocumented(t *testing.T) {
	each(newRoot(&app{State: testState(t)}), func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || strings.ToLower(c.Short[:1]) != c.Short[:1] && c.Name() != "lnk" {
			t.Errorf("%s: Short %q: want one lower-case line without a full stop", path, c.Short)
		}
		if len(c.Long) <= len(c.Short) || !strings.Contains(c.Long, "\nEXIT STATUS\n  0 ") {
			t.Errorf("%s: Long has no EXIT STATUS section, or says nothing", path)
		}
		if _, ok := c.Annotations[cannotKey]; !ok {
			t.Errorf("%s: nothing says what it cannot do when it fails", path)
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: want a help text without a full stop, have %q", path, f.Name, f.Usage)
			}
		})
	})
}

func TestNamesAreUnique(t *testing.T) {
	each(newRoot(&app{State: testState(t)}), func(c *cobra.Command) {
		seen := map[string]bool{}
		for _, sub := range c.Commands() {
			if seen[sub.Name()] {
				t.Errorf("%s: two commands are called %s", c.CommandPath(), sub.Name())
			}
			seen[sub.Name()] = true
		}
	})
}
