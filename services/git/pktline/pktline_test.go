package pktline_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/git/pktline"
)

func TestReadTakesNothingBeyondTheLine(t *testing.T) {
	r := strings.NewReader("0009hell\nPACK")
	line, err := pktline.Read(r, nil, 100)
	if err != nil || string(line) != "hell" {
		t.Fatalf("Read = %q, %v", line, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "PACK" {
		t.Errorf("left for git: %q, want PACK", rest)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		input string
		want  error
	}{
		"flush":            {"0000", pktline.ErrFlush},
		"end":              {"", io.EOF},
		"end in length":    {"00", io.ErrUnexpectedEOF},
		"end before data":  {"0008", io.ErrUnexpectedEOF},
		"end in data":      {"0008ab", io.ErrUnexpectedEOF},
		"not hexadecimal":  {"00g8abcd", nil},
		"delimiter packet": {"0001", nil},
		"too long":         {"00ffabcd", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pktline.Read(strings.NewReader(test.input), nil, 100)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("0009hell\n"))
	f.Add([]byte("0000"))
	f.Add([]byte("FFFF"))
	f.Fuzz(func(t *testing.T, input []byte) {
		r := bytes.NewReader(input)
		line, err := pktline.Read(r, nil, pktline.MaxData)
		if err != nil {
			return
		}
		// One newline is not told apart from none, so the line is either spelling.
		taken := input[:len(input)-r.Len()]
		plain := pktline.Append(nil, string(line))
		withNewline := pktline.Append(nil, string(line)+"\n")
		if !bytes.EqualFold(taken, plain) && !bytes.EqualFold(taken, withNewline) {
			t.Errorf("%q was read as %q", taken, line)
		}
	})
}
