package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lnk-suite/lnk/ipc"
)

type callArgs struct {
	Socket string   `arg:"SOCKET"`
	Method string   `arg:"METHOD"`
	Words  []string `arg:"[ARGS...]"`
	Trace  bool     `json:"trace" help:"show what is sent and received on standard error, in CBOR diagnostic notation, with times"`
	Stream bool     `json:"stream" help:"expect a stream; needed only for methods that lnk does not know"`
}

func ipcCall(a *app) *cobra.Command {
	c := action[callArgs]{
		name:  "call",
		short: "call a method of a service",
		long: `Call calls METHOD and prints the result as one line of JSON, or for a stream one line per item as it comes; -o cbor prints the
CBOR that was received.

ARGS are one JSON object, or for methods that lnk knows positional arguments and flags, which "lnk ipc call SOCKET METHOD
--help" lists. Where lnk does not know the method, the integer keys of CBOR maps are written as decimal strings and byte
strings as "h'00ff'". Flags of lnk's own come before METHOD.`,
		example: `  lnk ipc call gitd ipc.ping
  lnk ipc call gitd git.refs rad:z2Y…
  lnk ipc call --trace ./some.sock some.method '{"0": "text", "1": "h'"'00ff'"'"}'`,
		cannot: "call the method",
		exits:  []int{exitNotFound, exitConflict, exitUnavailable, exitNoKey, exitNotPermitted, exitDeadline, exitInterrupted},
		run:    a.call,
	}.command(a)
	c.Flags().SetInterspersed(false)
	return c
}

func (a *app) call(ctx context.Context, args callArgs) error {
	method, known := knownMethod(args.Method)
	if known && len(args.Words) == 1 && args.Words[0] == "--help" {
		return a.methodHelp(method, args)
	}
	payload, err := encodeArguments(method, known, args.Words)
	if err != nil {
		return ipc.Errorf(ipc.BadRequest, "%w", err).WithHint("lnk ipc describe " + args.Socket + " " + args.Method)
	}
	client, err := a.dial(args.Socket)
	if err != nil {
		return err
	}
	defer client.Close()
	if args.Trace {
		client.Trace = a.traceFrames(time.Now())
	}
	if !args.Stream && !method.Stream {
		result, err := client.CallRaw(ctx, args.Method, payload)
		if err != nil {
			return err
		}
		return a.printRaw(method, known, result)
	}
	for item, err := range client.StreamRaw(ctx, args.Method, payload) {
		if err != nil {
			return err
		}
		if err := a.printRaw(method, known, item); err != nil {
			return err
		}
	}
	return nil
}

// knownMethod finds the descriptor of a method among the contracts that are linked into lnk.
func knownMethod(name string) (ipc.MethodInfo, bool) {
	for _, method := range contracts() {
		if info := method.Info(); info.Name == name {
			return info, true
		}
	}
	return ipc.MethodInfo{}, false
}

// encodeArguments makes CBOR of the words behind the method's name.
func encodeArguments(method ipc.MethodInfo, known bool, words []string) ([]byte, error) {
	isJSON := len(words) == 1 && strings.HasPrefix(strings.TrimSpace(words[0]), "{")
	switch {
	case !known && len(words) == 0:
		return nil, nil
	case !known && len(words) > 1:
		return nil, fmt.Errorf("lnk does not know the method: give its arguments as one JSON value")
	case !known || isJSON && hasIntegerKeys(words[0]):
		value, err := fromJSON([]byte(words[0]))
		if err != nil {
			return nil, err
		}
		return ipc.Marshal(value)
	}
	args := reflect.New(method.Args)
	if err := fillArguments(args, isJSON, words); err != nil {
		return nil, err
	}
	if method.Args == reflect.TypeFor[ipc.Empty]() {
		return nil, nil
	}
	return ipc.Marshal(args.Elem().Interface())
}

func fillArguments(args reflect.Value, isJSON bool, words []string) error {
	if isJSON {
		return decodeStrictly(words[0], args.Interface())
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	positional := bind(flags, args.Interface())
	if err := flags.Parse(words); err != nil {
		return err
	}
	return positional.set(flags.Args())
}

func decodeStrictly(text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Errorf("%s cannot be a %s", wrong.Field, wrong.Value)
	}
	return err
}

func hasIntegerKeys(text string) bool {
	var object map[int64]json.RawMessage
	return json.Unmarshal([]byte(text), &object) == nil && len(object) > 0
}

// printRaw prints a result: by the types of the contract where lnk knows them.
func (a *app) printRaw(method ipc.MethodInfo, known bool, data []byte) error {
	if a.format == cborFormat {
		return a.write(data)
	}
	if len(data) == 0 {
		return nil
	}
	value, err := decodeResult(method, known, data)
	if err != nil {
		return err
	}
	line, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("cannot encode the result: %w", err)
	}
	return a.write(append(line, '\n'))
}

func decodeResult(method ipc.MethodInfo, known bool, data []byte) (any, error) {
	if known {
		result := reflect.New(method.Result)
		if err := ipc.Unmarshal(data, result.Interface()); err == nil {
			return result.Interface(), nil
		} // A newer service may answer what our types do not hold: show it as it is.
	}
	var value any
	if err := ipc.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	return toJSON(value), nil
}

// methodHelp prints the positional arguments and flags of a known method.
func (a *app) methodHelp(method ipc.MethodInfo, args callArgs) error {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	positional := bind(flags, reflect.New(method.Args).Interface())
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\nUsage:\n  lnk ipc call %s %s%s\n", method.Short, args.Socket, method.Name, positional.usage())
	if flags.HasFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", flags.FlagUsages())
	}
	return a.write(b.Bytes())
}

// traceFrames returns a function that shows each frame of a connection as it passes, with the time since start.
func (a *app) traceFrames(start time.Time) func(sent bool, frame []byte) {
	return func(sent bool, frame []byte) {
		arrow := "<-"
		if sent {
			arrow = "->"
		}
		text, err := ipc.DiagnosticFrame(frame)
		if err != nil {
			text = fmt.Sprintf("%x (%v)", frame, err)
		}
		fmt.Fprintf(a.Stderr, "%10s %s %s\n", time.Since(start).Round(time.Microsecond), arrow, text)
	}
}
