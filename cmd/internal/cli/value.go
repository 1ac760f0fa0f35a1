package cli

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Values of services that lnk does not know are told in JSON like this: integer keys of CBOR maps are the keys' decimal
// text, byte strings are "h'00ff'" as in CBOR's diagnostic notation (RFC 8949, section 8). fromJSON and toJSON are inverse.

// fromJSON turns JSON text into a value that [ipc.Marshal] encodes.
func fromJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if decoder.More() {
		return nil, fmt.Errorf("not JSON: something follows the first value")
	}
	return toCBOR(v)
}

func toCBOR(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		return number(v)
	case string:
		return textOrBytes(v)
	case []any:
		return eachValue(v)
	case map[string]any:
		return eachEntry(v)
	}
	return v, nil
}

func number(n json.Number) (any, error) {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i, nil
	}
	if u, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
		return u, nil
	}
	f, err := n.Float64()
	if err != nil || f == math.Trunc(f) {
		return nil, fmt.Errorf("%s does not fit a CBOR number", n)
	}
	return f, nil
}

func textOrBytes(s string) (any, error) {
	digits, ok := strings.CutPrefix(s, "h'")
	if !ok || !strings.HasSuffix(digits, "'") {
		return s, nil
	}
	data, err := hex.DecodeString(strings.TrimSuffix(digits, "'"))
	if err != nil {
		return nil, fmt.Errorf("%s is not a byte string: %w", s, err)
	}
	return data, nil
}

func eachValue(list []any) (any, error) {
	out := make([]any, len(list))
	for i, item := range list {
		value, err := toCBOR(item)
		if err != nil {
			return nil, err
		}
		out[i] = value
	}
	return out, nil
}

func eachEntry(object map[string]any) (any, error) {
	out := make(map[any]any, len(object))
	for key, item := range object {
		value, err := toCBOR(item)
		if err != nil {
			return nil, err
		}
		if i, err := strconv.ParseInt(key, 10, 64); err == nil && strconv.FormatInt(i, 10) == key {
			out[i] = value
		} else {
			out[key] = value
		}
	}
	return out, nil
}

// toJSON turns a value that [ipc.Unmarshal] made into one that encoding/json can encode.
func toJSON(v any) any {
	switch v := v.(type) {
	case []byte:
		return "h'" + hex.EncodeToString(v) + "'"
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = toJSON(item)
		}
		return out
	case map[any]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[fmt.Sprint(toJSON(key))] = toJSON(item)
		}
		return out
	}
	return v
}
