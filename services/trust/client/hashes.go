package client

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/crypto/blake2b"
)

// hashes are of one file, in hexadecimal, by algorithm.
type hashes map[string]string

// algorithms lists what this client can compute, the preferred first. blake2b-256 is what the command line of Repository
// Service for TUF describes artifacts with.
var algorithms = []struct {
	name  string
	begin func() hash.Hash
}{
	{"sha256", sha256.New},
	{"sha512", sha512.New},
	{"blake2b-256", func() hash.Hash {
		h, err := blake2b.New256(nil)
		if err != nil { // only for a key that is too long
			panic(err)
		}
		return h
	}},
}

// preferred returns one of the hashes that this client can compute, empty if there is none.
func (h hashes) preferred() string {
	for _, a := range algorithms {
		if text, ok := h[a.name]; ok {
			return text
		}
	}
	return ""
}

// checker compares what is written to it with what it should be.
type checker struct {
	io.Writer
	length int64
	left   int64
	sums   []sum
}

type sum struct {
	name string
	want []byte
	hash.Hash
}

// checker returns one for a file of this length with these hashes, of which it must know one at least.
func (h hashes) checker(length int64) (*checker, error) {
	c := &checker{length: length, left: length}
	var to []io.Writer
	for _, a := range algorithms {
		text, ok := h[a.name]
		if !ok {
			continue
		}
		want, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("the %s hash is not in hexadecimal", a.name)
		}
		s := sum{a.name, want, a.begin()}
		c.sums, to = append(c.sums, s), append(to, s)
	}
	if len(c.sums) == 0 {
		return nil, errors.New("it has no hash of a known algorithm")
	}
	c.Writer = io.MultiWriter(to...)
	return c, nil
}

// Write takes a part of the file, and no byte more than there should be.
func (c *checker) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, fmt.Errorf("it is longer than the %d bytes that it should have", c.length)
	}
	return c.Writer.Write(p)
}

// end says whether that was all, and right.
func (c *checker) end() error {
	if c.left != 0 {
		return fmt.Errorf("it has %d bytes, not %d", c.length-c.left, c.length)
	}
	for _, s := range c.sums {
		if !bytes.Equal(s.Sum(nil), s.want) {
			return fmt.Errorf("its %s hash is not the one that it should have", s.name)
		}
	}
	return nil
}
