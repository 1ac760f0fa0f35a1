// Package cddl writes the shapes of Go types as CDDL (RFC 8610), so that a service's wire contract follows from the
// structs that implement it. It reads the same struct tags as the payload codec:
//
//	cbor:"0,keyasint,omitempty"   the map key, an integer; omitempty or omitzero makes the field optional
//	json:"project"                the name that people see
//	help:"project URN"            the comment behind the field
//	cddl:"bstr .size (20 / 32)"   the type, where Go's type says less than is known
//
// It owns no encoding: what it describes is encoded by package ipc.
package cddl

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A Field is one entry of the map that a struct is encoded as.
type Field struct {
	Name     string       // what people call it: the json name, else the key, else Go's name
	Key      string       // the map key: decimal digits if Int, else the text itself
	Int      bool         // the key is an integer
	Optional bool         // left out when empty
	Help     string       // from the help tag
	Type     reflect.Type // of the Go field
	CDDL     string       // from the cddl tag; "" means that it follows from Type
	Index    []int        // for reflect.Value.FieldByIndex
}

// Fields lists the fields of struct type t that are encoded, in the order of RFC 8949 section 4.2.1; embedded structs
// without a tag of their own are flattened. A struct encoded as an array, or not a struct at all, has none.
func Fields(t reflect.Type) []Field {
	if t.Kind() != reflect.Struct || IsArray(t) {
		return nil
	}
	var fields []Field
	for i := range t.NumField() {
		fields = append(fields, fieldsOf(t.Field(i))...)
	}
	slices.SortStableFunc(fields, compareKeys)
	return fields
}

func fieldsOf(f reflect.StructField) []Field {
	key, options := tagOf(f)
	switch {
	case key == "-" || !f.IsExported() && !f.Anonymous:
		return nil
	case f.Anonymous && key == "" && f.Type.Kind() == reflect.Struct:
		inner := Fields(f.Type)
		for i := range inner {
			inner[i].Index = append(slices.Clone(f.Index), inner[i].Index...)
		}
		return inner
	case key == "":
		key = f.Name
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" || name == "-" {
		name = strings.ToLower(f.Name)
	}
	return []Field{{
		Name:     name,
		Key:      key,
		Int:      slices.Contains(options, "keyasint"),
		Optional: slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero"),
		Help:     f.Tag.Get("help"),
		Type:     f.Type,
		CDDL:     f.Tag.Get("cddl"),
		Index:    f.Index,
	}}
}

// tagOf splits the cbor tag, or the json tag where there is none, as the codec does.
func tagOf(f reflect.StructField) (key string, options []string) {
	tag := f.Tag.Get("cbor")
	if tag == "" {
		tag = f.Tag.Get("json")
	}
	parts := strings.Split(tag, ",")
	return parts[0], parts[1:]
}

// IsArray reports whether struct type t asks to be encoded as an array (a blank field tagged ",toarray").
func IsArray(t reflect.Type) bool {
	blank, ok := t.FieldByName("_")
	return ok && strings.Contains(blank.Tag.Get("cbor"), "toarray")
}

// compareKeys orders encoded keys bytewise: integers before texts, unsigned before negative, shorter before longer.
func compareKeys(a, b Field) int {
	if a.Int != b.Int {
		if a.Int {
			return -1
		}
		return 1
	}
	if !a.Int {
		if len(a.Key) != len(b.Key) {
			return len(a.Key) - len(b.Key)
		}
		return strings.Compare(a.Key, b.Key)
	}
	return compareInts(a.Number(), b.Number())
}

func compareInts(a, b int64) int {
	switch {
	case (a < 0) != (b < 0):
		return int(b>>63) - int(a>>63)
	case a < 0:
		a, b = -a, -b
	}
	return int(min(max(a-b, -1), 1))
}

// Number is the value of an integer key.
func (f Field) Number() int64 {
	n, err := strconv.ParseInt(f.Key, 10, 64)
	if err != nil {
		panic("cddl: key " + strconv.Quote(f.Key) + " of field " + f.Name + " is tagged keyasint and is no integer")
	}
	return n
}
