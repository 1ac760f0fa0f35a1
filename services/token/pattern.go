package token

import (
	"strings"

	"github.com/lnk-suite/lnk/ipc"
)

// Bounds of a token. A list of patterns is one of methods that a token permits, or that demand one.
const (
	maxPatterns = 32
	maxPattern  = 64 // bytes, as long as a method's name may be
)

// Patterns name methods: "git.refs" one method, "git.*" all whose names begin with "git.".
type Patterns []string

// Cover reports whether one of the patterns names the method.
func (p Patterns) Cover(method string) bool {
	for _, pattern := range p {
		if prefix, wild := strings.CutSuffix(pattern, "*"); pattern == method || wild && strings.HasPrefix(method, prefix) {
			return true
		}
	}
	return false
}

// check says what is wrong with the patterns; none at all is all right.
func (p Patterns) check() error {
	if len(p) > maxPatterns {
		return ipc.Errorf(ipc.BadRequest, "%d patterns of methods are more than %d", len(p), maxPatterns)
	}
	for _, pattern := range p {
		if !validPattern(pattern) {
			return ipc.Errorf(ipc.BadRequest, "%.80q names no methods", pattern).
				WithHint("write trust.sign for one method, 'git.*' for all of a service; lnk ipc describe SOCKET lists them")
		}
	}
	return nil
}

// validPattern reports whether s is "service.method" or "service.*", in words of a-z, 0-9 and "-".
func validPattern(s string) bool {
	words := strings.Split(s, ".")
	last := len(words) - 1
	for i, word := range words {
		if i == last && word == "*" {
			continue
		}
		if word == "" || word[0] < 'a' || word[0] > 'z' || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return last > 0 && len(s) <= maxPattern
}
