package trust

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"pgregory.net/rapid"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`{"b":1,"a":[true,false,null,"x"], "aa":{}}`: `{"a":[true,false,null,"x"],"aa":{},"b":1}`,
		"\t{ \"z\" : -12 ,\n\"Z\":0}\n":              `{"Z":0,"z":-12}`,
		`"\u00fc\n\"\\\/\u003c"`:                     "\"ü\n\\\"\\\\/<\"",
		`{"😀":1,"z":[[],[{}]],"":0}`:                 `{"":0,"z":[[],[{}]],"😀":1}`,
		`9007199254740991`:                           `9007199254740991`,
	} {
		got, err := Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s gave %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for why, in := range map[string]string{
		"nothing": "", "two values": "{} {}", "trailing garbage": "{}x", "cut off": `{"a":`, "comma": `[1,]`,
		"member twice": `{"a":1,"b":2,"a":1}`, "member twice by escape": `{"a":1,"\u0061":2}`, "member twice deep": `[{"x":{"a":1,"a":1}}]`,
		"fraction": `1.0`, "exponent": `1e3`, "minus zero": `-0`, "beyond 2^53": `9007199254740992`, "huge": `123456789012345678901234567890`,
		"lone surrogate": `"\ud800"`, "replacement character": "\"\ufffd\"", "not UTF-8": "\"\xff\"", "surrogate in a name": `{"\udc00":1}`,
		"too deep": strings.Repeat("[", 70) + strings.Repeat("]", 70), "byte order mark": "\ufeff{}",
	} {
		if got, err := Canonical([]byte(in)); err == nil {
			t.Errorf("%s: %s gave %s, want an error", why, in, got)
		}
	}
}

var genText = rapid.StringOf(rapid.RuneFrom([]rune("aZ\"\\/<ü😀\n\x01\u2028")))

// genJSON makes values of every kind, d deep.
func genJSON(d int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Map(rapid.Int64Range(-maxInteger, maxInteger), func(n int64) any { return n }),
		rapid.Map(genText, func(s string) any { return s }), rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Just[any](nil),
	}
	if d == 0 {
		return rapid.OneOf(leaves...)
	}
	return rapid.OneOf(append(leaves,
		rapid.Map(rapid.SliceOfN(genJSON(d-1), 0, 4), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(genText, genJSON(d-1), 0, 4), func(m map[string]any) any { return m }))...)
}

// TestCanonicalAgrees: our canonical form is that of the library which TUF clients in Go use, whatever the white space.
func TestCanonicalAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := genJSON(3).Draw(t, "value")
		want, err := cjson.EncodeCanonical(v)
		if err != nil {
			t.Fatal(err)
		}
		plain, _ := json.Marshal(v)
		indented, _ := json.MarshalIndent(v, " ", "\t")
		for _, in := range [][]byte{plain, indented} {
			if got, err := Canonical(in); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s gave %s, %v; want %s", in, got, err, want)
			}
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":1,"a":[true,null,"x"]}`, `{"a":1,"a":2}`, `"\ud800"`, `1e3`, `[[[]]]`, "", "\"\u2028\\u0000\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Canonical(data)
		if err != nil {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Fatalf("accepted %q, encoding/json does not: %v", data, err)
		}
		if want, err := cjson.EncodeCanonical(v); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q gave %q, the library %q, %v", data, got, want, err)
		}
	})
}
