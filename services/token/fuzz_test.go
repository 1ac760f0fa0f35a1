package token

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// FuzzParse: there is one text for each token.
func FuzzParse(f *testing.F) {
	whole := newCredential().text()
	for _, seed := range []string{whole, whole[:84], whole + " ", strings.ToUpper(whole), strings.Replace(whole, "_", "-", 2), "lnk_", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, ok := parse(text)
		if ok && c.text() != string(text) {
			t.Errorf("%q is read as %q", text, c.text())
		}
		if !ok && c != (credential{}) {
			t.Errorf("%q is refused and yet %+v", text, c)
		}
	})
}

// FuzzDecode: whatever is read keeps the bounds, and a use more is a use less.
func FuzzDecode(f *testing.F) {
	good, _ := record{
		Format: recordFormat, Hash: strings.Repeat("ab", 32), Methods: Patterns{"git.*"}, Uses: 2,
		lifetime: moment{time.Unix(1e9, 0).UTC(), "boot", 1}.lifetime(time.Minute),
	}.encode()
	for _, seed := range [][]byte{good, append(bytes.Clone(good), ".."...), good[:len(good)-1], []byte("{}\n"), []byte("null\n"), nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			return
		}
		if r.check() != nil || len(data) > maxFile+1 || r.Uses > maxUses || r.Expires.Sub(r.Issued) > maxTTL {
			t.Errorf("%q is read as %+v", data, r)
		}
		next, err := decode(append(bytes.Clone(data), '.'))
		if err == nil && next.spent != r.spent+1 {
			t.Errorf("after a use of %q: %d, then %d", data, r.spent, next.spent)
		}
		again, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(again); err != nil {
			t.Errorf("%q becomes %q: %v", data, again, err)
		}
	})
}
