package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"golang.org/x/crypto/ssh"
)

// parseAllowed reads "principals [options] type key [comment]".
func parseAllowed(line string) (AllowedSigner, error) {
	principals, rest, err := cutField(line)
	if err != nil || principals == "" || rest == "" {
		return AllowedSigner{}, errors.New("it is not \"principals [options] type key\"")
	}
	// The rest has the form of an authorized_keys line.
	key, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return AllowedSigner{}, errors.New("it has no public key")
	}
	a := AllowedSigner{Principals: strings.Split(principals, ","), Comment: comment, key: key}
	for _, o := range options {
		if err := a.option(o); err != nil {
			return AllowedSigner{}, err
		}
	}
	return a, nil
}

// cutField splits off the first field, which may be in quotes.
func cutField(line string) (field, rest string, err error) {
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		field, rest, ok = strings.Cut(quoted, `"`)
		if !ok {
			return "", "", errors.New("a quote is not closed")
		}
		return field, strings.TrimSpace(rest), nil
	}
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		return line, "", nil
	}
	return line[:end], strings.TrimSpace(line[end:]), nil
}

func (a *AllowedSigner) option(text string) (err error) {
	name, value, _ := strings.Cut(text, "=")
	value = strings.Trim(value, `"`)
	switch strings.ToLower(name) {
	case "namespaces":
		a.Namespaces = strings.Split(value, ",")
	case "valid-after":
		a.ValidAfter, err = parseTime(value)
	case "valid-before":
		a.ValidBefore, err = parseTime(value)
	default:
		return fmt.Errorf("option %q is not supported", name)
	}
	return err
}

// parseTime reads YYYYMMDD[HHMM[SS]] in local time, or in UTC where a Z follows.
func parseTime(s string) (time.Time, error) {
	zone := time.Local
	digits, utc := strings.CutSuffix(strings.ToUpper(s), "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if t, err := time.ParseInLocation(layout, digits, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time (YYYYMMDD[HHMM[SS]][Z])", s)
}

// Check says whether the line says what a does. Names and comments from outside might break it, or add something to it:
// that is ipc.BadRequest.
func (a AllowedSigner) Check() error {
	line := a.String()
	read, err := parseAllowed(line)
	same := err == nil && slices.Equal(read.Principals, a.Principals) && slices.Equal(read.Namespaces, a.Namespaces) && read.Comment == a.Comment
	if !same || strings.ContainsAny(line, "\r\n") {
		return ipc.Errorf(ipc.BadRequest, "%q cannot be a line of an allowed-signers file", line).
			WithHint("principals and namespaces must not be empty or have quotes in them, and a comment is one line")
	}
	return nil
}

// String is the line that ssh-keygen and ReadAllowedSigners read, without line end.
func (a AllowedSigner) String() string {
	fields := []string{quote(strings.Join(a.Principals, ","))}
	var options []string
	if len(a.Namespaces) > 0 {
		options = append(options, `namespaces="`+strings.Join(a.Namespaces, ",")+`"`)
	}
	for _, bound := range []struct {
		name string
		at   time.Time
	}{{"valid-after", a.ValidAfter}, {"valid-before", a.ValidBefore}} {
		if !bound.at.IsZero() {
			options = append(options, bound.name+`="`+bound.at.UTC().Format("20060102150405Z")+`"`)
		}
	}
	if len(options) > 0 {
		fields = append(fields, strings.Join(options, ","))
	}
	fields = append(fields, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(a.key))))
	if a.Comment != "" {
		fields = append(fields, a.Comment)
	}
	return strings.Join(fields, " ")
}

func quote(principals string) string {
	if strings.ContainsAny(principals, " \t#") {
		return `"` + principals + `"`
	}
	return principals
}
