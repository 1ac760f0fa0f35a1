package ipc

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type inner struct {
	OID  []byte  `cbor:"0,keyasint" json:"oid"`
	Ref  *string `cbor:"1,keyasint" json:"ref"`
	Size float64 `cbor:"2,keyasint,omitempty" json:"size"`
}

type sample struct {
	Name  string           `cbor:"0,keyasint" json:"name"`
	Count int32            `cbor:"1,keyasint" json:"count"`
	Flag  bool             `cbor:"2,keyasint,omitempty" json:"flag"`
	Items []inner          `cbor:"3,keyasint,omitempty" json:"items"`
	Index map[string]inner `cbor:"4,keyasint,omitempty" json:"index"`
	Hash  [4]byte          `cbor:"5,keyasint" json:"hash"`
	Time  time.Time        `cbor:"6,keyasint,omitzero" json:"time"`
	Any   any              `cbor:"7,keyasint,omitempty" json:"any"`
	Later Raw              `cbor:"16,keyasint,omitempty" json:"later"`
	Text  string           `cbor:"text,omitempty" json:"text"`
}

func TestUnmarshalIsStrict(t *testing.T) {
	tests := []struct{ name, item, want string }{
		{"required field", "a2 00 60 01 00", "hash: required field is missing"},
		{"first required field", "a2 01 00 05 44 00000000", "name: required field is missing"},
		{"empty map", "a0", "name: required field is missing"},
		{"null for text", "a3 00 f6 01 00 05 44 00000000", "name: want a text string, have a simple value or float"},
		{"list for bytes", "a3 00 60 01 00 05 84 00 00 00 00", "hash: want a byte string, have an array"},
		{"wrong number of bytes", "a3 00 60 01 00 05 43 000000", "hash: wrong number of bytes"},
		{"unknown key", "a4 00 60 01 00 05 44 00000000 08 00", "unknown field with key 8"},
		{"unknown text key", "a4 00 60 01 00 05 44 00000000 61 78 00", `unknown field with key "x"`},
		{"text key for integer", "a1 61 30 60", "name: required field is missing"},
		{"nested", "a4 00 60 01 00 03 81 a1 00 40 05 44 00000000", "items.ref: required field is missing"},
		{"nested in a map", "a4 00 60 01 00 04 a1 61 61 a2 00 40 01 00 05 44 00000000", "index.ref: want a text string"},
		{"key of a map", "a4 00 60 01 00 04 a1 00 a0 05 44 00000000", "map key: want a text string"},
		{"integer for float", "a4 00 60 01 00 03 81 a3 00 40 01 f6 02 00 05 44 00000000", "items.size: want a float"},
		{"float for integer", "a3 00 60 01 f93c00 05 44 00000000", "count: want an integer"},
		{"number for bool", "a4 00 60 01 00 02 01 05 44 00000000", "flag: want true or false"},
		{"integer out of range", "a3 00 60 01 1a 80000000 05 44 00000000", "cannot unmarshal"},
		{"time that is none", "a4 00 60 01 00 05 44 00000000 06 61 78", "time"},
		{"trailing bytes", "a3 00 60 01 00 05 44 00000000 00", "bytes after the end"},
		{"duplicate key", "a4 00 60 00 60 01 00 05 44 00000000", "duplicate map key"},
		{"keys out of order", "a3 01 00 00 60 05 44 00000000", "required field is missing"},
		{"tag in any", "a4 00 60 01 00 05 44 00000000 07 c1 00", "any: tags are not allowed"},
		{"non-shortest in raw", "a4 00 60 01 00 05 44 00000000 10 18 00", "later: integer or length not in its shortest form"},
		{"a list", "80", "want a map, have an array"},
		{"nothing", "", "want a map, have nothing"},
	}
	for _, test := range tests {
		var v sample
		err := Unmarshal(unhex(t, test.item), &v)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if err := Unmarshal([]byte{0}, nil); err == nil {
		t.Error("decoded into nil")
	}
	if err := Unmarshal([]byte{0}, 0); err == nil {
		t.Error("decoded into a number")
	}
}

func TestMarshalRefusesWhatUnmarshalWould(t *testing.T) {
	deep := any(0)
	for range maxDepth + 1 {
		deep = []any{deep}
	}
	for name, v := range map[string]any{"text": "\xff", "field": echoArgs{Text: "\xff"}, "depth": deep, "channel": make(chan int)} {
		if b, err := Marshal(v); err == nil {
			t.Errorf("%s: encoded to %x", name, b)
		}
	}
}

// TestResultsOfLaterVersions checks that clients pass over fields that they do not know, and daemons do not.
func TestResultsOfLaterVersions(t *testing.T) {
	later := item{b: unhex(t, "a3 00 62 6869 01 02 05 81 00"), owned: true}
	if got, err := decodeResult[echoArgs]("test.say", later); err != nil || got.Text != "hi" || got.N != 2 {
		t.Errorf("result: %v, %v", got, err)
	}
	if _, err := decodeArguments[echoArgs](later.b); CodeOf(err) != BadRequest {
		t.Errorf("arguments: %v", err)
	}
	broken := item{b: unhex(t, "a2 00 62 6869 05 c1 00"), owned: true}
	if _, err := decodeResult[echoArgs]("test.say", broken); CodeOf(err) != Corrupt {
		t.Errorf("malformed unknown field: %v", err)
	}
}

func TestRecursiveTypes(t *testing.T) {
	type tree struct {
		Left, Right *tree
	}
	want := tree{Left: &tree{Right: &tree{}}}
	b, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got tree
	if err := Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%x: %+v, %v", b, got, err)
	}
}

func TestValuesSurviveARoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		want := sample{
			Name:  strings.ToValidUTF8(text, ""),
			Count: rapid.Int32().Draw(t, "count"),
			Flag:  rapid.Bool().Draw(t, "flag"),
			Hash:  [4]byte(drawBytes(t, "hash", 4, 4)),
			Items: []inner{{OID: drawBytes(t, "oid", 0, 32), Ref: &text, Size: rapid.Float64().Draw(t, "size")}},
			Time:  time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC(),
			Later: Raw{0xf6},
		}
		b, err := Marshal(want)
		if err != nil {
			t.Skip("the text is not UTF-8")
		}
		var got sample
		if err := Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
		if again, err := Marshal(got); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}

func TestNilListsAreEmpty(t *testing.T) {
	b, err := Marshal(struct {
		List []string          `cbor:"0,keyasint"`
		Map  map[string]string `cbor:"1,keyasint"`
		B    []byte            `cbor:"2,keyasint"`
	}{})
	if err != nil || !bytes.Equal(b, unhex(t, "a3 00 80 01 a0 02 40")) {
		t.Errorf("%x, %v", b, err)
	}
}

func TestDiagnosticFrame(t *testing.T) {
	c := call{method: []byte("ipc.ping"), timeout: optional{1000, true}}
	r := request{ua: exampleUA, rq: exampleRQ, payload: c.appendTo(nil)}
	got, err := DiagnosticFrame(r.appendTo(nil)[frameHead:])
	if want := `{0: {0: "lnk/1", 1: h'00000001'}, 1: <<{0: "ipc.ping", 2: 1000}>>}`; err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := DiagnosticFrame([]byte{0xff}); err == nil {
		t.Error("showed what is not CBOR")
	}
}
