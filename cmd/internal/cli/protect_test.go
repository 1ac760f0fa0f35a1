package cli

import (
	"slices"
	"strings"
	"testing"
)

// TestProtect: the flags of other programs are theirs, ours are ours.
func TestProtect(t *testing.T) {
	for _, test := range []struct{ words, want string }{
		{"push --force", "push -- --force"},
		{"push", "push --"},
		{"push -- x", "push -- -- x"},
		{"push --help", "push --help"},
		{"push x --help", "push -- x --help"},
		{"--profile push pull --rebase", "--profile push pull -- --rebase"},
		{"--profile=a -o json fetch -v", "--profile=a -o json fetch -- -v"},
		{"sub p --exec ls -l", "sub p --exec ls -- -l"},
		{"sub --count 1 p --exec ls --count 2", "sub --count 1 p --exec ls -- --count 2"},
		{"sub p --exec ls", "sub p --exec ls"},
		{"sub p -- --exec ls -l", "sub p -- --exec ls -l"},
		{"sub p --fail retry 3 --exec ls -l", "sub p --fail retry:3 --exec ls -- -l"},
		{"sub p --exec ls --fail retry 3", "sub p --exec ls -- --fail retry 3"},
		{"sub p --fail skip --exec ls retry 3", "sub p --fail skip --exec ls -- retry 3"},
		{"status --exec ls -l", "status --exec ls -l"},
		{"frob --exec ls -l", "frob --exec ls -l"},
		{"", ""},
	} {
		words := strings.Fields(test.words)
		got := protect(newRoot(&app{State: testState(t)}), words)
		if strings.Join(got, " ") != test.want || !slices.Equal(words, strings.Fields(test.words)) {
			t.Errorf("%q became %q, want %q", test.words, got, test.want)
		}
	}
}
