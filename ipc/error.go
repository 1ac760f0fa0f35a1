package ipc

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// An Error is a failure that crosses the wire: what kind, what happened, and what the person can do about it.
type Error struct {
	Code    Code
	Message string // one lower-case clause without full stop: "no project rad:z… here"
	Hint    string // the cure, a command where there is one: "lnk key add"; may be empty
	cause   error
}

// hintMark separates message and hint in the one text field that the envelope has.
const hintMark = "\nhint: "

// Errorf makes an Error. As with fmt.Errorf, a %w verb keeps the wrapped error in reach of errors.Is and errors.As;
// a hint that it carries stays reachable through HintOf.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: err}
}

// WithHint returns a copy of e with the given hint.
func (e *Error) WithHint(hint string) *Error {
	with := *e
	with.Hint = hint
	return &with
}

// Error returns the message alone; the code is for programs and the hint is printed on its own line.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.String()
	}
	return e.Message
}

// Unwrap returns what Errorf wrapped, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is e's code, or the context error that corresponds to it.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.Code == Cancelled
	case context.DeadlineExceeded:
		return e.Code == DeadlineExceeded
	}
	code, ok := target.(Code)
	return ok && code == e.Code
}

// CodeOf returns the code of the first *Error or Code in err's chain; the context errors map to Cancelled and
// DeadlineExceeded, everything else is Internal. CodeOf(nil) is 0, which no message carries.
func CodeOf(err error) Code {
	var e *Error
	var code Code
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &code):
		return code
	case errors.Is(err, context.Canceled):
		return Cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded
	}
	return Internal
}

// HintOf returns the first hint in err's chain, or "".
func HintOf(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Hint != "" {
			return e.Hint
		}
		err = e.cause
	}
	return ""
}

// maxMessage bounds the text of an error on the wire, in bytes. A message is a sentence, not a log.
const maxMessage = 16 << 10

// wireText is what an error frame carries for err: its message and its hint. An internal error says nothing, as it may
// name things that are none of the caller's business.
func wireText(err error) string {
	if CodeOf(err) == Internal {
		return Internal.String()
	}
	text := err.Error()
	if err == context.Canceled || err == context.DeadlineExceeded {
		text = CodeOf(err).String() // Go's words for it are not ours
	}
	if hint := HintOf(err); hint != "" {
		text += hintMark + hint
	}
	if len(text) > maxMessage {
		text = text[:maxMessage]
	}
	return strings.ToValidUTF8(text, "")
}

// errorFromWire is the inverse of wireText.
func errorFromWire(code uint64, text string) *Error {
	message, hint, _ := strings.Cut(text, hintMark)
	if code == 0 || code > maxCode {
		return Errorf(Internal, "the daemon answered with error code %d: %s", code, message)
	}
	return &Error{Code: Code(code), Message: message, Hint: hint}
}

const maxCode = 1<<32 - 1
