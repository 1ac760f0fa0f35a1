package ipc

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"
)

func TestItemsThatAreNotDeterministic(t *testing.T) {
	tests := []struct{ name, item, want string }{
		{"integer", "18 17", "shortest form"},
		{"integer in two bytes", "19 00ff", "shortest form"},
		{"integer in four bytes", "1a 0000ffff", "shortest form"},
		{"integer in eight bytes", "1b 00000000ffffffff", "shortest form"},
		{"negative integer", "38 17", "shortest form"},
		{"length of text", "78 01 61", "shortest form"},
		{"length of array", "98 01 00", "shortest form"},
		{"simple value in two bytes", "f8 14", "without meaning"},
		{"unassigned simple value", "e0", "without meaning"},
		{"undefined", "f7", "without meaning"},
		{"double that is a half", "fb 3ff0000000000000", "shortest form"},
		{"double that is a single", "fb 3fb99999a0000000", "shortest form"},
		{"single that is a half", "fa 3f800000", "shortest form"},
		{"single infinity", "fa 7f800000", "shortest form"},
		{"single NaN", "fa 7fc00000", "shortest form"},
		{"another NaN", "f9 7e01", "another form"},
		{"indefinite text", "7f 61 61 ff", "indefinite"},
		{"indefinite array", "9f ff", "indefinite"},
		{"break", "ff", "indefinite"},
		{"reserved", "1c", "reserved"},
		{"tag", "c0 60", "tags"},
		{"text", "61 ff", "UTF-8"},
		{"map order", "a2 01 00 00 00", "out of order"},
		{"map order by length", "a2 61 62 00 18 18 00", "out of order"},
		{"duplicate key", "a2 61 61 00 61 61 00", "duplicate"},
		{"array too long", "9a ffffffff", "too early"},
		{"map too long", "a2 00 00 01", "too early"},
		{"two items", "00 00", "after the end"},
		{"deep nesting", strings.Repeat("81", 33) + "00", "nested too deeply"},
		{"very deep nesting", strings.Repeat("81", 1<<20), "nested too deeply"},
	}
	for _, test := range tests {
		c := cursor{data: unhex(t, test.item)}
		c.skip(maxDepth)
		if err := c.result(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestItemsThatAreDeterministic(t *testing.T) {
	items := []string{
		"00", "17", "18 18", "19 0100", "1a 00010000", "1b 0000000100000000", "1b ffffffffffffffff", "20", "3b ffffffffffffffff",
		"40", "60", "80", "a0", "f4", "f5", "f6", "f9 0000", "f9 8000", "f9 3c00", "f9 0001", "f9 7bff", "f9 7c00", "f9 7e00",
		"fa 47800000", "fa 33000000", "fb 3fb999999999999a", "fb 7fefffffffffffff", "a2 00 00 20 00", "a3 18 64 00 61 7a 00 62 6161 00",
		strings.Repeat("81", 32) + "00",
	}
	for _, item := range items {
		c := cursor{data: unhex(t, item)}
		c.skip(maxDepth)
		if err := c.result(); err != nil {
			t.Errorf("%s: %v", item, err)
		}
	}
}

// TestFloatsAgree compares the check for the shortest form with an independent encoder.
func TestFloatsAgree(t *testing.T) {
	check := func(f float64) {
		want, err := Marshal(f)
		if err != nil {
			t.Fatalf("%g: %v", f, err)
		}
		for _, item := range floatForms(f) {
			c := cursor{data: item}
			c.skip(maxDepth)
			if ok := c.result() == nil; ok != bytes.Equal(item, want) {
				t.Fatalf("%g as %x: accepted %v, the shortest form is %x", f, item, ok, want)
			}
		}
	}
	for half := range 1 << 16 {
		var f float64
		if err := cbor.Unmarshal([]byte{0xf9, byte(half >> 8), byte(half)}, &f); err != nil {
			t.Fatal(err)
		}
		check(f)
	}
	rapid.Check(t, func(t *rapid.T) { check(rapid.Float64().Draw(t, "f")) })
	rapid.Check(t, func(t *rapid.T) { check(float64(rapid.Float32().Draw(t, "f"))) })
}

// floatForms encodes f in eight bytes, and in four if it fits.
func floatForms(f float64) [][]byte {
	forms := [][]byte{appendUints([]byte{0xfb}, math.Float64bits(f), 8)}
	if float64(float32(f)) == f {
		forms = append(forms, appendUints([]byte{0xfa}, uint64(math.Float32bits(float32(f))), 4))
	}
	return forms
}

func appendUints(b []byte, n uint64, size int) []byte {
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

// drawValue returns a value of every kind that CBOR knows, without tags.
func drawValue(t *rapid.T, depth int) any {
	kinds := 7
	if depth > 0 {
		kinds = 9
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.Uint64().Draw(t, "uint")
	case 1:
		return rapid.Int64().Draw(t, "int")
	case 2:
		return drawBytes(t, "bytes", 0, 40)
	case 3:
		return strings.ToValidUTF8(rapid.String().Draw(t, "text"), "")
	case 4:
		return rapid.Bool().Draw(t, "bool")
	case 5:
		return nil
	case 6:
		return rapid.Float64().Draw(t, "float")
	case 7:
		list := make([]any, rapid.IntRange(0, 4).Draw(t, "length"))
		for i := range list {
			list[i] = drawValue(t, depth-1)
		}
		return list
	}
	dict := map[any]any{}
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		dict[rapid.Int64Range(-300, 300).Draw(t, "key")] = drawValue(t, depth-1)
		dict[rapid.StringMatching("[a-z]{0,3}").Draw(t, "key")] = drawValue(t, depth-1)
	}
	return dict
}

// TestAcceptedItemsEncodeToThemselves mutates valid items: what is still accepted must be the one encoding of its value.
func TestAcceptedItemsEncodeToThemselves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		item, err := Marshal(drawValue(t, 3))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "mutate") {
			item[rapid.IntRange(0, len(item)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		checkAccepted(t, item)
	})
}

// checkAccepted fails if item is accepted and encodes to something else.
func checkAccepted(t interface{ Fatalf(string, ...any) }, item []byte) {
	c := cursor{data: item}
	c.skip(maxDepth)
	if c.result() != nil {
		return
	}
	var value any
	if err := cbor.Unmarshal(item, &value); err != nil {
		return // map keys that Go cannot hold
	}
	if again, err := Marshal(value); err != nil || !bytes.Equal(again, item) {
		t.Fatalf("%x was accepted and encodes to %x, %v", item, again, err)
	}
}
