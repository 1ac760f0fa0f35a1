package cddl

import (
	_ "embed"
	"reflect"
	"strings"
)

// Wire is the part of the contract that is the same on every socket: the envelope.
//
//go:embed wire.cddl
var Wire string

// A Method is what Service needs to know about a method.
type Method struct {
	Name         string // "git.refs"
	Stream       bool
	Access       string // "read" or "change"
	Short, Long  string
	Args, Result reflect.Type // a struct without fields stands for nothing; Result is the type of an item if Stream
}

// Service writes the contract of a socket: the envelope, each method's call, and the types of arguments and results.
func Service(name string, methods []Method) string {
	w := newWriter()
	names := make([]string, len(methods))
	for i, m := range methods {
		names[i] = m.Name
		w.method(m)
	}
	head := "; Messages of " + name + ", in CDDL (RFC 8610).\n" + Wire
	return head + "\ncall = " + strings.Join(names, " / ") + "\n\n" + w.text()
}

// Rule writes a rule called name for type t, and the rules that it needs.
func Rule(name string, t reflect.Type) string {
	w := newWriter()
	w.rule(name, t)
	return w.text()
}

func (w *writer) method(m Method) {
	call, result := w.reserve(m.Name), w.reserve("")
	var b strings.Builder
	comment(&b, m.Name+" ("+m.Access+"): "+m.Short)
	if m.Long != "" {
		b.WriteString(";\n")
		comment(&b, strings.TrimSpace(m.Long))
	}
	b.WriteString(m.Name + " = ")
	w.block(&b, w.callLines(m))
	call.text = b.String()
	w.result(m, result)
}

func (w *writer) callLines(m Method) []line {
	lines := []line{{entry: "0: " + quote(m.Name)}}
	if !isEmpty(m.Args) {
		lines = append(lines, line{entry: optionalMark(allOptional(m.Args)) + "1: " + w.expression(m.Args), comment: "arguments"})
	}
	lines = append(lines, line{entry: "? 2: uint", comment: "timeout in milliseconds"})
	if m.Stream {
		lines = append(lines, line{entry: "? 3: uint", comment: "how many items may be sent before a grant; without it: any number"})
	}
	return append(lines, line{entry: "* later => any"})
}

func (w *writer) result(m Method, r *rule) {
	switch {
	case m.Stream:
		r.name = m.Name + ".item"
	case isEmpty(m.Result):
		return
	default:
		r.name = m.Name + ".result"
	}
	r.text = r.name + " = " + w.expression(m.Result) + "\n"
}

func isEmpty(t reflect.Type) bool { return t.Kind() == reflect.Struct && t.NumField() == 0 }

// allOptional reports whether arguments of type t may be left out.
func allOptional(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, f := range Fields(t) {
		if !f.Optional {
			return false
		}
	}
	return true
}

func optionalMark(optional bool) string {
	if optional {
		return "? "
	}
	return ""
}

func comment(b *strings.Builder, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(strings.TrimRight("; "+line, " ") + "\n")
	}
}
