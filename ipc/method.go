package ipc

import (
	"context"
	"iter"
	"reflect"
)

// Access says what a method may do to the caller's data.
type Access uint8

const (
	Read   Access = iota // changes neither configuration nor state
	Change               // may change something
)

// String returns "read" or "change".
func (a Access) String() string {
	if a == Read {
		return "read"
	}
	return "change"
}

// Empty is the argument or result of a method that has none. It takes no bytes on the wire.
type Empty struct{}

// A Unary describes a method with one answer. Name is "service.method"; Short is one line, Long any text. Inline promises
// that the handler returns within microseconds and waits for nothing: it then runs on the goroutine that reads the
// connection, which saves the hand-over, holds up that connection's other requests and cannot be cancelled.
type Unary[A, R any] struct {
	Name        string
	Access      Access
	Short, Long string
	Inline      bool
}

// A Stream describes a method that answers with any number of items.
type Stream[A, R any] struct {
	Name        string
	Access      Access
	Short, Long string
}

// MethodInfo is what is known about a method without its types.
type MethodInfo struct {
	Name         string
	Stream       bool
	Access       Access
	Short, Long  string
	Args, Result reflect.Type // Result is the type of an item if Stream
}

// A Method is a descriptor of either kind.
type Method interface{ Info() MethodInfo }

// Info returns what introspection and command line derive from the descriptor.
func (m Unary[A, R]) Info() MethodInfo {
	return MethodInfo{m.Name, false, m.Access, m.Short, m.Long, reflect.TypeFor[A](), reflect.TypeFor[R]()}
}

// Info returns what introspection and command line derive from the descriptor.
func (m Stream[A, R]) Info() MethodInfo {
	return MethodInfo{m.Name, true, m.Access, m.Short, m.Long, reflect.TypeFor[A](), reflect.TypeFor[R]()}
}

// Handle makes f answer the method on x. It panics if x has the method already. The context ends when the caller cancels
// or hangs up, at the call's deadline, and when the server stops; PeerFrom tells from it who calls. If A is []byte, the
// argument is valid until f returns; all other types are copies and may be kept. If R is []byte, nobody may change the result
// afterwards: a large one is sent from where it lies.
func (m Unary[A, R]) Handle(x *Mux, f func(context.Context, A) (R, error)) {
	x.add(&method{info: m.Info(), inline: m.Inline, unary: func(ctx context.Context, out *scratch, arguments []byte) error {
		args, err := decodeArguments[A](arguments)
		if err != nil {
			return err
		}
		result, err := f(ctx, args)
		if err != nil {
			return err
		}
		return putResult(out, result)
	}})
}

// Handle makes f answer the method on x; see Unary.Handle. An error that the sequence yields ends the stream. The sequence is
// pulled only as fast as the caller takes the items.
func (m Stream[A, R]) Handle(x *Mux, f func(context.Context, A) iter.Seq2[R, error]) {
	x.add(&method{info: m.Info(), stream: func(ctx context.Context, arguments []byte, send sendFunc) error {
		args, err := decodeArguments[A](arguments)
		if err != nil {
			return err
		}
		for item, err := range f(ctx, args) {
			if err != nil {
				return err
			}
			if err := sendItem(item, send); err != nil {
				return err
			}
		}
		return nil
	}})
}

// A method is a handler with its types erased.
type method struct {
	info   MethodInfo
	inline bool
	open   bool                                                            // to everybody: introspection
	unary  func(ctx context.Context, out *scratch, arguments []byte) error // makes the payload of the ok
	stream func(ctx context.Context, arguments []byte, send sendFunc) error
}

// A sendFunc sends one encoded item of a stream. It takes the scratch over.
type sendFunc func(item *scratch) error

var emptyMap = []byte{majorMap << 5}

func decodeArguments[A any](data []byte) (A, error) {
	if data == nil {
		data = emptyMap
	}
	args, err := decodeValue[A](item{b: data, owned: true}, false) // the handler may have the bytes until it returns
	if err != nil {
		return args, Errorf(BadRequest, "bad arguments: %w", err)
	}
	return args, nil
}

func putResult[R any](out *scratch, result R) (err error) {
	switch r := any(result).(type) {
	case Empty:
		return nil
	case []byte:
		out.appendBytes(r)
		return nil
	}
	if out.b, err = appendGeneral(out.b, result); err != nil {
		return Errorf(Internal, "cannot encode the result: %w", err)
	}
	return nil
}

func sendItem[R any](item R, send sendFunc) error {
	out := takeScratch()
	var err error
	if out.b, err = appendValue(out.b, item); err != nil {
		out.put()
		return Errorf(Internal, "cannot encode an item: %w", err)
	}
	return send(out)
}
