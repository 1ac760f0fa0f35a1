package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// verbatimKey is the annotation of commands that hand all their words to another program.
const verbatimKey = "verbatim"

// protect puts "--" before the words of a command line that belong to another program, so that its flags stay its own: all
// that follows a verbatim command, and the arguments of the program after "lnk sub … --exec PROGRAM".
func protect(root *cobra.Command, args []string) []string {
	found, _, err := root.Find(args)
	at := commandIndex(root, args)
	if err != nil || at < 0 {
		return args
	}
	if found.Annotations[verbatimKey] != "" && !slices.Contains(args[at+1:min(at+2, len(args))], "--help") {
		return slices.Insert(slices.Clone(args), at+1, "--")
	}
	args = joinRetry(found, args)
	exec := slices.Index(args, "--exec")
	if found.Flags().Lookup("exec") == nil || exec < 0 || exec+2 >= len(args) || slices.Contains(args[:exec], "--") {
		return args
	}
	return slices.Insert(slices.Clone(args), exec+2, "--")
}

// joinRetry makes one word of the value of "lnk sub … --fail retry N".
func joinRetry(found *cobra.Command, args []string) []string {
	fail, exec := slices.Index(args, "--fail"), slices.Index(args, "--exec")
	if exec >= 0 && exec < fail {
		return args // the program's
	}
	if found.Flags().Lookup("fail") == nil || fail < 0 || fail+2 >= len(args) || args[fail+1] != "retry" {
		return args
	}
	return slices.Replace(slices.Clone(args), fail+1, fail+3, "retry:"+args[fail+2])
}

// commandIndex returns where the first word is that is neither a global flag nor the value of one, or -1.
func commandIndex(root *cobra.Command, args []string) int {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if !strings.HasPrefix(word, "-") {
			return i
		}
		flag := root.PersistentFlags().Lookup(strings.TrimLeft(word, "-"))
		if flag == nil && len(word) == 2 {
			flag = root.PersistentFlags().ShorthandLookup(word[1:])
		}
		if flag != nil {
			i++
		}
	}
	return -1
}
