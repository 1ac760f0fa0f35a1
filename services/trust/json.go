package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth = 64
	// maxInteger is the largest integer that a reader in any language keeps exact: 2^53-1.
	maxInteger = 1<<53 - 1
)

// Canonical returns the canonical form of one JSON value (OLPC rules: members sorted, no white space, only quotation
// mark and backslash escaped, integers only), which is what TUF signs. It refuses everything on which readers differ:
// members given twice, trailing data, numbers that are no exact integers, text that is not valid Unicode.
func Canonical(data []byte) ([]byte, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not valid UTF-8")
	}
	if !json.Valid(data) {
		return nil, errors.New("not one JSON value")
	}
	c := canonicalizer{dec: json.NewDecoder(bytes.NewReader(data)), out: make([]byte, 0, len(data))}
	c.dec.UseNumber()
	if err := c.value(0); err != nil {
		return nil, err
	}
	if _, err := c.dec.Token(); err != io.EOF {
		return nil, errors.New("data after the JSON value")
	}
	return c.out, nil
}

type canonicalizer struct {
	dec *json.Decoder
	out []byte
}

func (c *canonicalizer) value(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	token, err := c.dec.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return c.object(depth)
		}
		return c.array(depth)
	case string:
		return c.text(t)
	case json.Number:
		return c.integer(t.String())
	case bool:
		c.out = strconv.AppendBool(c.out, t)
	default:
		c.out = append(c.out, "null"...)
	}
	return nil
}

func (c *canonicalizer) array(depth int) error {
	c.out = append(c.out, '[')
	for first := true; c.dec.More(); first = false {
		if !first {
			c.out = append(c.out, ',')
		}
		if err := c.value(depth + 1); err != nil {
			return err
		}
	}
	c.out = append(c.out, ']')
	_, err := c.dec.Token()
	return err
}

// member is one name with its value: out[start:end] is both, already canonical.
type member struct {
	name       string
	start, end int
}

func (c *canonicalizer) object(depth int) error {
	start := len(c.out)
	var members []member
	for c.dec.More() {
		m, err := c.member(depth)
		if err != nil {
			return err
		}
		members = append(members, m)
	}
	if _, err := c.dec.Token(); err != nil {
		return err
	}
	return c.sort(start, members)
}

func (c *canonicalizer) member(depth int) (member, error) {
	token, err := c.dec.Token()
	if err != nil {
		return member{}, err
	}
	m := member{name: token.(string), start: len(c.out)}
	if err := c.text(m.name); err != nil {
		return member{}, err
	}
	c.out = append(c.out, ':')
	if err := c.value(depth + 1); err != nil {
		return member{}, err
	}
	m.end = len(c.out)
	return m, nil
}

// sort puts the members, which lie one after the other from start on, in order and between braces.
func (c *canonicalizer) sort(start int, members []member) error {
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	sorted := make([]byte, 0, len(c.out)-start+len(members)+2)
	sorted = append(sorted, '{')
	for i, m := range members {
		if i > 0 {
			if m.name == members[i-1].name {
				return fmt.Errorf("member %q is given twice", m.name)
			}
			sorted = append(sorted, ',')
		}
		sorted = append(sorted, c.out[m.start:m.end]...)
	}
	c.out = append(append(c.out[:start], sorted...), '}')
	return nil
}

// text refuses U+FFFD, as that is what a broken escape ("\ud800") is read as, by some.
func (c *canonicalizer) text(s string) error {
	if strings.ContainsRune(s, utf8.RuneError) {
		return errors.New("text with the replacement character U+FFFD, or a broken escape")
	}
	c.out = append(c.out, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			c.out = append(c.out, '\\')
		}
		c.out = append(c.out, s[i])
	}
	c.out = append(c.out, '"')
	return nil
}

func (c *canonicalizer) integer(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxInteger || n < -maxInteger || s == "-0" {
		return fmt.Errorf("number %.40s is not an integer that every reader keeps exact", s)
	}
	c.out = append(c.out, s...)
	return nil
}
