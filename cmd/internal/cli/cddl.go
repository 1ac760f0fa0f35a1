package cli

import (
	"regexp"
	"slices"
	"strings"
)

// cddlName is an identifier of RFC 8610, appendix B.
var cddlName = regexp.MustCompile(`[A-Za-z@_$][A-Za-z0-9@_$.-]*`)

// rulesOf cuts a service's CDDL down to the rules of one method and those that they refer to. Rules stand apart by empty
// lines, as [ipc.Description] writes them.
func rulesOf(cddl, method string) string {
	blocks := strings.Split(strings.TrimSpace(cddl), "\n\n")
	wanted := func(name string) bool { return name == method || strings.HasPrefix(name, method+".") }
	var chosen []string
	for {
		before := len(chosen)
		for _, block := range blocks {
			if name := ruleName(block); name != "" && wanted(name) && !slices.Contains(chosen, block) {
				chosen = append(chosen, block)
			}
		}
		if len(chosen) == before {
			return strings.Join(chosen, "\n\n") + "\n"
		}
		named := cddlName.FindAllString(stripComments(strings.Join(chosen, "\n")), -1)
		wanted = func(name string) bool { return slices.Contains(named, name) }
	}
}

// ruleName returns what a block defines, "" for a block of comments.
func ruleName(block string) string {
	name, _, found := strings.Cut(strings.TrimSpace(stripComments(block)), " = ")
	if !found {
		return ""
	}
	return strings.TrimSpace(name)
}

func stripComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, ";")
		b.WriteString(code + "\n")
	}
	return b.String()
}
