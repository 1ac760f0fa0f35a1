package token

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Bounds of what is issued.
const (
	maxUses = 10_000
	maxTTL  = 30 * 24 * time.Hour
	minTTL  = time.Second
	maxLine = 8 << 10           // bytes; what the bounds allow is shorter
	maxFile = maxLine + maxUses // bytes
)

// record is what is stored of a token: a line of JSON and a byte for each use.
type record struct {
	Format  int      `json:"format"`
	Hash    string   `json:"sha256"` // of the secret
	Methods Patterns `json:"methods"`
	Uses    int      `json:"uses,omitempty"` // how often it is good; 0 for any number of times
	lifetime

	spent int
}

const recordFormat = 1

// encode returns the file of a token that has not been used.
func (r record) encode() ([]byte, error) {
	line, err := json.Marshal(r)
	return append(line, '\n'), err
}

// decode reads a file. What follows the line counts as uses, whatever it is.
func decode(data []byte) (record, error) {
	line, uses, ok := bytes.Cut(data, []byte{'\n'})
	if !ok || len(line) > maxLine || len(uses) > maxUses {
		return record{}, errors.New("it is cut off, or too long")
	}
	var r record
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return record{}, err
	}
	if d.More() {
		return record{}, errors.New("something follows the object")
	}
	r.spent = len(uses)
	return r, r.check()
}

func (r record) check() error {
	sum, err := hex.DecodeString(r.Hash)
	switch {
	case r.Format != recordFormat:
		return fmt.Errorf("its format is %d, not %d", r.Format, recordFormat)
	case err != nil || len(sum) != 32:
		return errors.New("its hash is none")
	case len(r.Methods) == 0:
		return errors.New("it permits nothing")
	case r.Uses < 0 || r.Uses > maxUses:
		return fmt.Errorf("it is good for %d uses", r.Uses)
	case r.Expires.Before(r.Issued) || r.Expires.Sub(r.Issued) > maxTTL:
		return errors.New("it lives too long")
	}
	return r.Methods.check()
}

// isSpent reports whether no use is left.
func (r record) isSpent() bool { return r.Uses > 0 && r.spent >= r.Uses }

// Token is what may be known of a token: all but the secret.
type Token struct {
	ID      ID        `json:"id" cbor:"0,keyasint"`
	Methods Patterns  `json:"methods" cbor:"1,keyasint"`
	Issued  time.Time `json:"issued" cbor:"2,keyasint"`
	Expires time.Time `json:"expires" cbor:"3,keyasint"`
	Uses    int       `json:"uses,omitempty" cbor:"4,keyasint,omitempty"` // 0 for any number
	Left    *int      `json:"left,omitempty" cbor:"5,keyasint,omitempty"` // of Uses, if they are counted
}

func (r record) token(id ID) Token {
	t := Token{ID: id, Methods: r.Methods, Issued: r.Issued, Expires: r.Expires, Uses: r.Uses}
	if r.Uses > 0 {
		left := max(r.Uses-r.spent, 0)
		t.Left = &left
	}
	return t
}
