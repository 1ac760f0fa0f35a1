package keys

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
)

// AllowedSigner is a line of an allowed-signers file (ssh-keygen(1), ALLOWED SIGNERS): which key may sign as whom.
type AllowedSigner struct {
	// Principals are patterns of names, "*" and "?" as in a shell; one that starts with "!" takes names out again.
	Principals []string
	// Namespaces are patterns likewise; none means any namespace.
	Namespaces []string
	// ValidAfter and ValidBefore bound when a signature counts; zero is unbounded.
	ValidAfter, ValidBefore time.Time
	// Comment ends the line.
	Comment string

	key ssh.PublicKey
}

// AllowedSigners says whose signatures count.
type AllowedSigners []AllowedSigner

// NewAllowedSigner is a line for a device key.
func NewAllowedSigner(id peer.ID, comment string, principals ...string) AllowedSigner {
	return AllowedSigner{Principals: principals, Comment: comment, key: sshKey(id.PublicKey())}
}

// Peer is the line's key, empty if it is not plain Ed25519.
func (a AllowedSigner) Peer() peer.ID {
	id, err := peer.Parse(string(ssh.MarshalAuthorizedKey(a.key)))
	if err != nil {
		return ""
	}
	return id
}

// Find returns a name under which s counts at a time, as the first line that fits has it. With a principal, that name
// must be meant; with "" the result is the line's first pattern. It does not verify s. The error is ErrSignature.
func (l AllowedSigners) Find(s *SSHSIG, principal string, at time.Time) (string, error) {
	known := false
	for _, a := range l {
		if !bytes.Equal(a.key.Marshal(), s.key.Marshal()) {
			continue
		}
		known = true
		if a.counts(s.Namespace, at) && (principal == "" || matchList(a.Principals, principal)) {
			if principal == "" {
				return a.Principals[0], nil
			}
			return principal, nil
		}
	}
	if known {
		as := ""
		if principal != "" {
			as = fmt.Sprintf(" as %q", principal)
		}
		return "", fmt.Errorf("%w: key %s may not sign%s for %q at %s", ErrSignature, s.Fingerprint(), as, s.Namespace, at.UTC().Format(time.RFC3339))
	}
	return "", fmt.Errorf("%w: key %s is nobody's who is allowed", ErrSignature, s.Fingerprint())
}

func (a AllowedSigner) counts(namespace string, at time.Time) bool {
	return (len(a.Namespaces) == 0 || matchList(a.Namespaces, namespace)) &&
		(a.ValidAfter.IsZero() || !at.Before(a.ValidAfter)) && (a.ValidBefore.IsZero() || at.Before(a.ValidBefore))
}

// matchList is OpenSSH's match_pattern_list: one pattern must fit, and none that starts with "!".
func matchList(patterns []string, name string) bool {
	fits := false
	for _, p := range patterns {
		p, negated := strings.CutPrefix(p, "!")
		if !matchPattern(p, name) {
			continue
		}
		if negated {
			return false
		}
		fits = true
	}
	return fits
}

// onlyWildcards takes from path.Match what OpenSSH does not have: brackets, escapes and "/" as a border.
var onlyWildcards = strings.NewReplacer("[", `\[`, `\`, `\\`, "/", "\x00")

func matchPattern(pattern, name string) bool {
	ok, err := path.Match(onlyWildcards.Replace(pattern), strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}

// ReadAllowedSigners reads an allowed-signers file. Lines of certificate authorities are refused, as certificates are not
// supported; a file is good as a whole or not at all.
func ReadAllowedSigners(r io.Reader) (AllowedSigners, error) {
	var all AllowedSigners
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		a, err := parseAllowed(line)
		if err != nil {
			return nil, fmt.Errorf("cannot read allowed signers: line %d: %w", n, err)
		}
		all = append(all, a)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read allowed signers: %w", err)
	}
	return all, nil
}
