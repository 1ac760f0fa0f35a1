package keys

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", maxPassphrase)
	for typed, want := range map[string]string{"a b\n": "a b", "\n": "", "a\r\n": "a", "one\ntwo\n": "one", long + "\n": long} {
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(typed), "by bytes": iotest.OneByteReader(strings.NewReader(typed))} {
			if got, err := readLine(r); string(got) != want || err != nil {
				t.Errorf("%.20q %s: %.20q, %v", typed, name, got, err)
			}
		}
	}
	if got, err := readLine(strings.NewReader(long + "x\n")); !errors.Is(err, errLongPassphrase) {
		t.Errorf("beyond the limit: %.20q, %v", got, err)
	}
	if got, err := readLine(strings.NewReader("half")); err == nil {
		t.Errorf("without an end: %q", got)
	}
	if _, err := readLine(iotest.ErrReader(io.ErrNoProgress)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a terminal that fails: %v", err)
	}
}
