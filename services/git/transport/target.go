package transport

import (
	"fmt"
	"strings"
)

// Scheme is the URL scheme that makes git run git-remote-lnk.
const Scheme = "lnk://"

const (
	urnPrefix    = "rad:"
	maxMultibase = 64 // a project has 28 or 29 characters, a peer 48
)

// Target names what a URL points at: a project, or what one peer has published in it.
type Target struct {
	Project string // multibase form, z…
	Peer    string // z6Mk…; "" for the caller's own work. Another peer's work can be read only
}

// String returns the path form: rad:z…, or rad:z…/z6Mk….
func (t Target) String() string {
	if t.Peer == "" {
		return urnPrefix + t.Project
	}
	return urnPrefix + t.Project + "/" + t.Peer
}

// ParseURL parses lnk://rad:z…, lnk://z… and both with /<peer>; a trailing slash or .git is accepted, as git users type them.
func ParseURL(url string) (Target, error) {
	path, ok := strings.CutPrefix(url, Scheme)
	if !ok {
		return Target{}, fmt.Errorf("%q is not an %s URL", url, Scheme)
	}
	return ParseTarget(path)
}

// ParseTarget parses what follows the slashes of a URL. It checks the alphabet only, so that this package stays light:
// gitd decodes both names and encodes them again before they become a path.
func ParseTarget(path string) (Target, error) {
	trimmed := strings.TrimPrefix(strings.TrimSuffix(path, "/"), urnPrefix)
	project, peer, hasPeer := strings.Cut(trimmed, "/")
	target := Target{Project: strings.TrimSuffix(project, ".git"), Peer: peer}
	if !isMultibase(target.Project) {
		return Target{}, fmt.Errorf("%q names no project, expected rad:z…", path)
	}
	if hasPeer && !isMultibase(target.Peer) {
		return Target{}, fmt.Errorf("%q names no peer, expected rad:z…/z6Mk…", path)
	}
	return target, nil
}

// isMultibase reports whether s is "z" and base58btc.
func isMultibase(s string) bool {
	if len(s) < 2 || len(s) > maxMultibase || s[0] != 'z' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		alphanumeric := c >= '1' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alphanumeric || c == 'I' || c == 'O' || c == 'l' {
			return false
		}
	}
	return true
}
