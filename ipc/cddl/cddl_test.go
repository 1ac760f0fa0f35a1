package cddl

import (
	"reflect"
	"testing"
	"time"
)

type base struct {
	ID   [4]byte `cbor:"-2,keyasint" json:"id"`
	Name string  `cbor:"name" json:"name" help:"what people call it"`
}

type Node struct {
	base
	Children []*Node          `cbor:"24,keyasint" json:"children"`
	Seen     time.Time        `cbor:"0,keyasint,omitempty" json:"seen"`
	Counts   map[string]uint8 `cbor:"3,keyasint" json:"counts"`
	OID      []byte           `cbor:"1,keyasint" json:"oid" cddl:"bstr .size 20 / bstr .size 32"`
	Shade    shade            `cbor:"4,keyasint" json:"shade"`
	private  int
	Skipped  int `cbor:"-"`
}

type shade uint8

func (shade) CDDL() string { return `"dark" / "light"` }

const wantNode = `tree = {
  ? 0: timestamp,                   ; seen
  1: bstr .size 20 / bstr .size 32, ; oid
  3: { * tstr => uint .size 1 },    ; counts
  4: "dark" / "light",              ; shade
  24: [* (tree / null)],            ; children
  -2: bstr .size 4,                 ; id
  "name": tstr,                     ; name: what people call it
}

timestamp = tstr ; RFC 3339, UTC
`

func TestRule(t *testing.T) {
	_ = Node{}.private
	if got := Rule("tree", reflect.TypeFor[Node]()); got != wantNode {
		t.Errorf("got\n%s\nwant\n%s", got, wantNode)
	}
}
