package cli

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lnk-suite/lnk/ipc"
)

// roundTrip sends JSON text through CBOR and back.
func roundTrip(text string) (string, error) {
	value, err := fromJSON([]byte(text))
	if err != nil {
		return "", err
	}
	data, err := ipc.Marshal(value)
	if err != nil {
		return "", err
	}
	var back any
	if err := ipc.Unmarshal(data, &back); err != nil {
		return "", err
	}
	out, err := json.Marshal(toJSON(back))
	return string(out), err
}

func TestJSONThroughCBOR(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `"text"`, `""`, `0`, `-1`, `18446744073709551615`, `-9223372036854775808`, `1.5`,
		`"h'00ff'"`, `"h''"`, `{"0":"a","1":[1,{"2":"h'aa'"}],"name":null}`, `{"-3":1}`, `{"007":1}`,
	} {
		if got, err := roundTrip(text); err != nil || got != text {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
	for _, text := range []string{``, `{`, `1 2`, `"h'0'"`, `"h'zz'"`, `18446744073709551616`, `1e400`} {
		if got, err := roundTrip(text); err == nil {
			t.Errorf("%s was accepted as %s", text, got)
		}
	}
}

// plainText is any text that is not in the notation of bytes.
func plainText() *rapid.Generator[string] {
	return rapid.String().Filter(func(s string) bool { return !strings.HasPrefix(s, "h'") })
}

func jsonValue(depth int) *rapid.Generator[any] {
	simple := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), plainText().AsAny(), rapid.Int64().AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(simple...)
	}
	inner := jsonValue(depth - 1)
	return rapid.OneOf(append(simple, rapid.SliceOfN(inner, 0, 4).AsAny(), rapid.MapOfN(plainText(), inner, 0, 4).AsAny())...)
}

// TestJSONThroughCBORProperty: any JSON value comes back as it was, apart from strings in the notation of bytes.
func TestJSONThroughCBORProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, err := json.Marshal(jsonValue(3).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := roundTrip(string(want))
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		var a, b any
		if json.Unmarshal(want, &a) != nil || json.Unmarshal([]byte(got), &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s became %s", want, got)
		}
	})
}

func FuzzFromJSON(f *testing.F) {
	f.Add([]byte(`{"0":"h'00'","a":[1,2.5,null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if value, err := fromJSON(text); err == nil {
			if _, err := ipc.Marshal(value); err != nil {
				t.Errorf("%q makes a value that cannot be encoded: %v", text, err)
			}
		}
	})
}
