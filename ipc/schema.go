package ipc

import (
	"reflect"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/lnk-suite/lnk/ipc/cddl"
)

// A schema is what the wire may hold for a Go type. The codec converts generously (null to "", a list of numbers to
// bytes, missing fields to zeros); the schema is what makes decoding strict.
type schema struct {
	kind   kind
	fixed  bool // the byte string or list has exactly length bytes or elements
	length uint64
	key    *schema       // of a dict
	elem   *schema       // of a list, a dict, or what may be null
	fields []schemaField // of a record, in the order of their keys
}

type kind uint8

const (
	kindAny kind = iota
	kindBool
	kindUint
	kindInt
	kindFloat
	kindBytes
	kindText
	kindList
	kindDict
	kindRecord
	kindNullable
)

type schemaField struct {
	name     string
	key      []byte // encoded
	required bool
	schema   *schema
}

// schemas caches the schema of each Go type, as building one needs reflection.
var schemas sync.Map

func schemaOf(t reflect.Type) *schema {
	if s, ok := schemas.Load(t); ok {
		return s.(*schema)
	}
	s, _ := schemas.LoadOrStore(t, buildSchema(t, map[reflect.Type]*schema{}))
	return s.(*schema)
}

var (
	unmarshalerType = reflect.TypeFor[cbor.Unmarshaler]()
	timeType        = reflect.TypeFor[time.Time]()
)

// buildSchema makes the schema of t; seen closes the loops of recursive types.
func buildSchema(t reflect.Type, seen map[reflect.Type]*schema) *schema {
	if s, ok := seen[t]; ok {
		return s
	}
	s := new(schema)
	seen[t] = s
	switch {
	case t == timeType:
		s.kind = kindText
	case reflect.PointerTo(t).Implements(unmarshalerType):
		s.kind = kindAny
	default:
		s.fill(t, seen)
	}
	return s
}

func (s *schema) fill(t reflect.Type, seen map[reflect.Type]*schema) {
	switch t.Kind() {
	case reflect.Bool:
		s.kind = kindBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind = kindInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind = kindUint
	case reflect.Float32, reflect.Float64:
		s.kind = kindFloat
	case reflect.String:
		s.kind = kindText
	case reflect.Slice, reflect.Array:
		s.fillList(t, seen)
	case reflect.Map:
		s.kind, s.key, s.elem = kindDict, buildSchema(t.Key(), seen), buildSchema(t.Elem(), seen)
	case reflect.Pointer:
		s.kind, s.elem = kindNullable, buildSchema(t.Elem(), seen)
	case reflect.Struct:
		s.fillRecord(t, seen)
	default:
		s.kind = kindAny
	}
}

func (s *schema) fillList(t reflect.Type, seen map[reflect.Type]*schema) {
	if t.Kind() == reflect.Array {
		s.length, s.fixed = uint64(t.Len()), true
	}
	if t.Elem().Kind() == reflect.Uint8 {
		s.kind = kindBytes
		return
	}
	s.kind, s.elem = kindList, buildSchema(t.Elem(), seen)
}

func (s *schema) fillRecord(t reflect.Type, seen map[reflect.Type]*schema) {
	if cddl.IsArray(t) {
		s.kind = kindAny
		return
	}
	s.kind = kindRecord
	for _, f := range cddl.Fields(t) {
		s.fields = append(s.fields, schemaField{
			name:     f.Name,
			key:      encodedKey(f),
			required: !f.Optional,
			schema:   buildSchema(f.Type, seen),
		})
	}
}

func encodedKey(f cddl.Field) []byte {
	switch {
	case !f.Int:
		return appendString(nil, majorText, []byte(f.Key))
	case f.Number() < 0:
		return appendHead(nil, majorNint, uint64(-1-f.Number()))
	}
	return appendHead(nil, majorUint, uint64(f.Number()))
}
