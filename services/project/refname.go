package project

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxRefName is the length in bytes beyond which ref names are refused. Git writes a ref to a file of its name, so that
// file systems set the limit of one component (255); longer paths would fail in the middle of a push.
const MaxRefName = 1024

const maxRefComponent = 240 // git adds ".lock"

var categories = []string{"refs/heads/", "refs/tags/", "refs/notes/", "refs/cobs/"}

// CheckRef reports why a ref, relative to a peer's namespace, cannot be part of signed refs: it lies outside
// refs/{heads,tags,notes,cobs}/ or git-check-ref-format(1) forbids its name.
func CheckRef(ref string) error {
	if !slices.ContainsFunc(categories, func(c string) bool { return strings.HasPrefix(ref, c) }) {
		return fmt.Errorf("ref %q is not below refs/heads/, refs/tags/, refs/notes/ or refs/cobs/", clip(ref))
	}
	if why := refNameFault(ref); why != "" {
		return fmt.Errorf("ref %q %s", clip(ref), why)
	}
	return nil
}

// refNameFault follows the rules of git-check-ref-format(1), in its order; "" means that the name is good.
func refNameFault(ref string) string {
	if len(ref) > MaxRefName {
		return fmt.Sprintf("is longer than %d bytes", MaxRefName)
	}
	for component := range strings.SplitSeq(ref, "/") {
		switch {
		case component == "":
			return "has an empty component"
		case strings.HasPrefix(component, "."):
			return "has a component that begins with a dot"
		case strings.HasSuffix(component, ".lock"):
			return "has a component that ends with .lock"
		case len(component) > maxRefComponent:
			return fmt.Sprintf("has a component of more than %d bytes", maxRefComponent)
		}
	}
	switch {
	case !utf8.ValidString(ref):
		return "is not valid UTF-8, so that signed refs cannot hold it"
	case strings.Contains(ref, ".."):
		return "contains two dots in a row"
	case strings.ContainsFunc(ref, func(r rune) bool { return r < 0x20 || r == 0x7f || strings.ContainsRune(" ~^:?*[\\", r) }):
		return "contains a space, a control character or one of ~^:?*[\\"
	case strings.HasSuffix(ref, "."):
		return "ends with a dot"
	case strings.Contains(ref, "@{"):
		return "contains @{"
	}
	return ""
}
