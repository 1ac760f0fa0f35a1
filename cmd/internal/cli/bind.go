package cli

import (
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// bind declares flags and positional arguments for the exported fields of the struct that args points to, and returns the
// positional ones. Values are stored into the struct as the command line is read; what is in it already is the default.
//
//	arg:"NAME"       a positional argument; "[NAME]" is optional, "NAME..." takes one or more, "[NAME...]" any number
//	json:"some_name" otherwise: the flag --some-name. "-" hides the field from the command line
//	short:"n"        the flag's one-letter form
//	help:"text"      the flag's help; a <WORD> in angle brackets names its value
//
// Fields are strings, booleans, integers, [time.Duration], []byte (in hex), []string, pointers to these, or anything that
// implements [encoding.TextUnmarshaler]; embedded structs are flattened. Another type panics: the test over the whole tree
// finds it.
func bind(flags *pflag.FlagSet, args any) positionals {
	var found positionals
	bindStruct(flags, reflect.ValueOf(args).Elem(), &found)
	return found
}

func bindStruct(flags *pflag.FlagSet, v reflect.Value, found *positionals) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), fieldValue{v.Field(i)}
		if field.Anonymous && field.Type.Kind() == reflect.Struct {
			bindStruct(flags, value.Value, found)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		if arg := field.Tag.Get("arg"); arg != "" {
			*found = append(*found, positional{name: arg, value: value})
			continue
		}
		flag := flags.VarPF(value, strings.ReplaceAll(name, "_", "-"), field.Tag.Get("short"), backquote.Replace(field.Tag.Get("help")))
		if value.Type() == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// backquote marks the name of a value as pflag wants it, which a struct tag cannot hold.
var backquote = strings.NewReplacer("<", "`", ">", "`")

// positionals are the arguments of a command that are not flags, in order.
type positionals []positional

type positional struct {
	name  string // as in the tag
	value fieldValue
}

func (p positional) optional() bool { return strings.HasPrefix(p.name, "[") }
func (p positional) many() bool     { return strings.HasSuffix(strings.TrimSuffix(p.name, "]"), "...") }

// usage returns " PROJECT [REF]".
func (p positionals) usage() string {
	var b strings.Builder
	for _, arg := range p {
		b.WriteString(" " + arg.name)
	}
	return b.String()
}

// set stores the words of the command line.
func (p positionals) set(words []string) error {
	for _, arg := range p {
		if len(words) == 0 && !arg.optional() {
			return fmt.Errorf("%s is missing", strings.TrimSuffix(arg.name, "..."))
		}
		for len(words) > 0 {
			if err := arg.value.Set(words[0]); err != nil {
				return fmt.Errorf("bad %s %q: %w", strings.Trim(arg.name, "[].…"), words[0], err)
			}
			words = words[1:]
			if !arg.many() {
				break
			}
		}
	}
	if len(words) > 0 {
		return fmt.Errorf("unexpected argument %q", words[0])
	}
	return nil
}

// fieldValue makes one field of an argument struct a [pflag.Value].
type fieldValue struct{ reflect.Value }

// Set parses text into the field; a []string field grows by it.
func (f fieldValue) Set(text string) error { return setValue(f.Value, text) }

// Type names the kind of value in help texts.
func (f fieldValue) Type() string {
	t := f.Value.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Bool:
		return "bool"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "hex"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "int"
	}
	return "string"
}

// String shows the default; none if it is the zero value.
func (f fieldValue) String() string {
	if !f.IsValid() || f.IsZero() {
		return ""
	}
	if text, ok := f.Interface().(fmt.Stringer); ok {
		return text.String()
	}
	v := reflect.Indirect(f.Value)
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, " ")
	}
	return fmt.Sprint(v.Interface())
}

func setValue(v reflect.Value, text string) error {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return setValue(v.Elem(), text)
	}
	switch target := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return target.UnmarshalText([]byte(text))
	case *time.Duration:
		return parseInto(target, text, parseSpan)
	case *[]byte:
		return parseInto(target, text, hex.DecodeString)
	case *[]string:
		*target = append(*target, text)
		return nil
	}
	return setKind(v, text)
}

// parseSpan reads a time as [time.ParseDuration] does, or a number of days.
func parseSpan(text string) (time.Duration, error) {
	if n, err := strconv.ParseUint(strings.TrimSuffix(text, "d"), 10, 16); err == nil && strings.HasSuffix(text, "d") {
		return time.Duration(n) * 24 * time.Hour, nil
	}
	span, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("want a time such as 90s, 5m, 8h or 7d")
	}
	return span, nil
}

func parseInto[T any](target *T, text string, parse func(string) (T, error)) error {
	value, err := parse(text)
	if err == nil {
		*target = value
	}
	return err
}

func setKind(v reflect.Value, text string) error {
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("want true or false")
		}
		v.SetBool(b)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a whole number of at most %d bits", v.Type().Bits())
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a whole number from 0 up, of at most %d bits", v.Type().Bits())
		}
		v.SetUint(n)
	default:
		panic("cli: no flag can hold a " + v.Type().String())
	}
	return nil
}
