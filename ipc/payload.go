package ipc

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Raw is one encoded CBOR item inside a larger value: it is kept as it came, to be decoded later with Unmarshal.
type Raw = cbor.RawMessage

// encoding is RFC 8949 section 4.2.1 with the choices that it leaves open: empty lists and maps instead of null, times as
// RFC 3339 text, no tags.
var encoding = must(cbor.EncOptions{
	Sort:            cbor.SortBytewiseLexical,
	ShortestFloat:   cbor.ShortestFloat16,
	NaNConvert:      cbor.NaNConvert7e00,
	InfConvert:      cbor.InfConvertFloat16,
	Time:            cbor.TimeRFC3339NanoUTC,
	IndefLength:     cbor.IndefLengthForbidden,
	NilContainers:   cbor.NilContainerAsEmpty,
	TagsMd:          cbor.TagsForbidden,
	BinaryMarshaler: cbor.BinaryMarshalerNone,
}.UserBufferEncMode())

// decoding fills Go values from input that check has seen, so it need not look for duplicates or unknown fields again.
var decoding = must(cbor.DecOptions{
	MaxNestedLevels:   maxDepth,
	MaxArrayElements:  1 << 24, // the frame limit bounds them
	MaxMapPairs:       1 << 24,
	IndefLength:       cbor.IndefLengthForbidden,
	TagsMd:            cbor.TagsForbidden,
	FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	BinaryUnmarshaler: cbor.BinaryUnmarshalerNone,
}.DecMode())

func must[M any](mode M, err error) M {
	if err != nil {
		panic(err)
	}
	return mode
}

// Marshal encodes v deterministically (RFC 8949 section 4.2.1). It fails on what Unmarshal would refuse: text that is not
// UTF-8, tags, more than 32 levels.
func Marshal(v any) ([]byte, error) {
	return appendEncoded(nil, v)
}

// Unmarshal decodes data, one deterministically encoded item and nothing behind it, into the value that v points to. It
// refuses tags, indefinite lengths, duplicate or unordered or unknown keys, more than 32 levels, a missing field that is
// not tagged omitempty, null where the Go type has no null, and wrong types; the error names the field.
func Unmarshal(data []byte, v any) error {
	return unmarshal(data, v, false)
}

func unmarshal(data []byte, v any, tolerant bool) error {
	target := reflect.TypeOf(v)
	if target == nil || target.Kind() != reflect.Pointer {
		return fmt.Errorf("cannot decode into %T: not a pointer", v)
	}
	if err := checkItem(data, schemaOf(target.Elem()), tolerant); err != nil {
		return err
	}
	return decoding.Unmarshal(data, v)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxKept bounds the buffers that are kept for reuse, in bytes.
const maxKept = 64 << 10

func appendEncoded(dst []byte, v any) ([]byte, error) {
	buffer := buffers.Get().(*bytes.Buffer)
	buffer.Reset()
	defer func() {
		if buffer.Cap() <= maxKept {
			buffers.Put(buffer)
		}
	}()
	if err := encoding.MarshalToBuffer(v, buffer); err != nil {
		return dst, fmt.Errorf("cannot encode %T: %w", v, err)
	}
	c := cursor{data: buffer.Bytes()}
	c.skip(maxDepth)
	if err := c.result(); err != nil {
		return dst, fmt.Errorf("cannot encode %T: %w", v, err)
	}
	return append(dst, buffer.Bytes()...), nil
}

// appendValue is appendEncoded without an allocation for the types that carry plain bytes.
func appendValue[T any](dst []byte, v T) ([]byte, error) {
	switch v := any(v).(type) {
	case []byte:
		return appendString(dst, majorBytes, v), nil
	case Empty:
		return append(dst, majorMap<<5), nil
	}
	return appendGeneral(dst, v)
}

// appendGeneral is apart from appendValue because its v moves to the heap.
func appendGeneral[T any](dst []byte, v T) ([]byte, error) { return appendEncoded(dst, &v) }

// An item is one encoded CBOR item. If it is owned, nobody else refers to its bytes and they may be kept; or the frame
// that they are in, if there is one, is put back.
type item struct {
	b     []byte
	owned bool
	frame *scratch
}

// decodeValue is Unmarshal into a new value, without an allocation for the types that carry plain bytes except the copy of
// what is not owned.
func decodeValue[T any](data item, tolerant bool) (v T, err error) {
	if p, ok := any(&v).(*[]byte); ok {
		*p, err = decodeBytes(data)
		return v, err
	}
	if _, ok := any(&v).(*Empty); ok && len(data.b) == 1 && data.b[0] == majorMap<<5 {
		return v, nil
	}
	return decodeGeneral[T](data.b, tolerant)
}

func decodeGeneral[T any](data []byte, tolerant bool) (v T, err error) {
	err = unmarshal(data, &v, tolerant)
	return v, err
}

func decodeBytes(data item) ([]byte, error) {
	b, ok := wholeBytes(data.b)
	if !ok {
		c := cursor{data: data.b}
		b = c.bytes()
		if err := c.result(); err != nil {
			return nil, err
		}
	}
	if data.owned {
		return b, nil
	}
	return bytes.Clone(b), nil
}
