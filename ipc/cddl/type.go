package cddl

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Describer is a type that knows its own CDDL: an expression, not a rule.
type Describer interface{ CDDL() string }

var (
	describerType   = reflect.TypeFor[Describer]()
	unmarshalerType = reflect.TypeFor[interface{ UnmarshalCBOR([]byte) error }]()
	timeType        = reflect.TypeFor[time.Time]()
)

// A writer collects rules in the order in which they are first needed, each before the ones that it refers to.
type writer struct {
	names map[reflect.Type]string
	taken map[string]reflect.Type
	rules []*rule
}

type rule struct{ name, text string }

func newWriter() *writer {
	return &writer{names: map[reflect.Type]string{}, taken: map[string]reflect.Type{}}
}

func (w *writer) text() string {
	var texts []string
	for _, r := range w.rules {
		if r.text != "" {
			texts = append(texts, r.text)
		}
	}
	return strings.Join(texts, "\n")
}

// reserve gives a rule its place before the rules that its text turns out to need.
func (w *writer) reserve(name string) *rule {
	r := &rule{name: name}
	w.rules = append(w.rules, r)
	return r
}

// expression returns what stands for t behind a map key or in a list.
func (w *writer) expression(t reflect.Type) string {
	switch {
	case t.Implements(describerType) && t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface:
		return reflect.Zero(t).Interface().(Describer).CDDL()
	case t == timeType:
		return w.timeRule()
	case reflect.PointerTo(t).Implements(unmarshalerType):
		return "any"
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return w.list(t)
	case reflect.Map:
		return "{ * " + w.expression(t.Key()) + " => " + w.expression(t.Elem()) + " }"
	case reflect.Pointer:
		return w.expression(t.Elem()) + " / null"
	case reflect.Struct:
		return w.named(t)
	}
	return basic(t)
}

func basic(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "tstr"
	case reflect.Int, reflect.Int64:
		return "int"
	case reflect.Int8, reflect.Int16, reflect.Int32:
		limit := int64(1) << (t.Bits() - 1)
		return fmt.Sprintf("%d..%d", -limit, limit-1)
	case reflect.Uint, reflect.Uint64:
		return "uint"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return "uint .size " + strconv.Itoa(t.Bits()/8)
	case reflect.Float32, reflect.Float64:
		return "float"
	}
	return "any"
}

func (w *writer) list(t reflect.Type) string {
	bytes := t.Elem().Kind() == reflect.Uint8
	switch {
	case bytes && t.Kind() == reflect.Array:
		return "bstr .size " + strconv.Itoa(t.Len())
	case bytes:
		return "bstr"
	}
	element := w.expression(t.Elem())
	if strings.Contains(element, " / ") {
		element = "(" + element + ")"
	}
	if t.Kind() == reflect.Array {
		return fmt.Sprintf("[%d*%d %s]", t.Len(), t.Len(), element)
	}
	return "[* " + element + "]"
}

func (w *writer) timeRule() string {
	const name = "timestamp" // RFC 8610's time is a tagged number
	if _, ok := w.names[timeType]; !ok {
		w.names[timeType] = name
		w.taken[name] = timeType
		w.reserve(name).text = "timestamp = tstr ; RFC 3339, UTC\n"
	}
	return name
}

// named returns the name of the rule for struct t and writes it if it is new.
func (w *writer) named(t reflect.Type) string {
	if name, ok := w.names[t]; ok {
		return name
	}
	if t.Name() == "" {
		return w.inline(t)
	}
	name := ruleName(t.Name())
	if _, taken := w.taken[name]; taken || slices.Contains(reserved, name) {
		name = ruleName(packageName(t)) + "-" + name
	}
	w.rule(name, t)
	return name
}

// rule writes a rule for t. It is known before its fields are looked at, for the sake of recursive types.
func (w *writer) rule(name string, t reflect.Type) {
	w.names[t], w.taken[name] = name, t
	r := w.reserve(name)
	if t.Kind() != reflect.Struct || IsArray(t) {
		r.text = name + " = " + w.expression(t) + "\n"
		return
	}
	var b strings.Builder
	b.WriteString(name + " = ")
	w.block(&b, w.lines(t))
	r.text = b.String()
}

// inline writes a struct without a name in one line.
func (w *writer) inline(t reflect.Type) string {
	var entries []string
	for _, l := range w.lines(t) {
		entries = append(entries, l.entry)
	}
	return "{ " + strings.Join(entries, ", ") + " }"
}

// A line is one entry of a map.
type line struct{ entry, comment string }

func (w *writer) lines(t reflect.Type) []line {
	var lines []line
	for _, f := range Fields(t) {
		kind := f.CDDL
		if kind == "" {
			kind = w.expression(f.Type)
		}
		key := f.Key
		if !f.Int {
			key = quote(f.Key)
		}
		lines = append(lines, line{optionalMark(f.Optional) + key + ": " + kind, remark(f)})
	}
	return lines
}

func remark(f Field) string {
	if f.Help == "" {
		return f.Name
	}
	return f.Name + ": " + f.Help
}

// block writes lines as a map, comments below each other.
func (w *writer) block(b *strings.Builder, lines []line) {
	width := 0
	for _, l := range lines {
		if l.comment != "" {
			width = max(width, utf8.RuneCountInString(l.entry))
		}
	}
	b.WriteString("{\n")
	for _, l := range lines {
		b.WriteString("  " + l.entry + ",")
		if l.comment != "" {
			b.WriteString(strings.Repeat(" ", width-utf8.RuneCountInString(l.entry)) + " ; " + strings.ReplaceAll(l.comment, "\n", " "))
		}
		b.WriteString("\n")
	}
	b.WriteString("}\n")
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func packageName(t reflect.Type) string {
	path := strings.Split(t.PkgPath(), "/")
	return path[len(path)-1]
}

// ruleName turns Go's RefUpdateID into CDDL's ref-update-id.
func ruleName(name string) string {
	name, _, _ = strings.Cut(name, "[")
	var b []rune
	runes := []rune(name)
	for i, r := range runes {
		startsWord := unicode.IsUpper(r) && (i+1 < len(runes) && unicode.IsLower(runes[i+1]) || i > 0 && unicode.IsLower(runes[i-1]))
		if i > 0 && startsWord {
			b = append(b, '-')
		}
		b = append(b, unicode.ToLower(r))
	}
	return string(b)
}

// reserved lists names that RFC 8610's prelude (appendix D) or the envelope has taken.
var reserved = []string{
	"any", "bigfloat", "bigint", "bignint", "biguint", "bool", "bstr", "bytes", "decfrac", "false", "float", "int", "integer", "nil",
	"nint", "null", "number", "regexp", "tdate", "text", "time", "true", "tstr", "uint", "undefined", "unsigned", "uri",
	"call", "error", "grant", "later", "message", "ok", "request", "request-headers", "request-id", "response-headers", "timestamp",
}
