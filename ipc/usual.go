package ipc

import (
	"encoding/binary"
	"unicode/utf8"
)

// Almost every envelope has one of two layouts, which differ only in lengths and bytes. The functions of this file read them
// in one go, and report false for everything else, good or bad, which is for the parser in envelope.go.

// parseUsual reads { 0: { 0: ua, 1: rq }, 1: payload } with an ua of less than 24 bytes.
func (r *request) parseUsual(frame []byte) bool {
	if len(frame) < 5 || binary.BigEndian.Uint32(frame) != 0xa200a200 {
		return false
	}
	ua, rest, ok := cutShort(frame[4:], majorText)
	if !ok || len(ua) < minUserAgent || !utf8.Valid(ua) || len(rest) == 0 || rest[0] != 1 {
		return false
	}
	rq, rest, ok := cutShort(rest[1:], majorBytes)
	if !ok || len(rq) < minRequestID || len(rq) > maxRequestID || len(rest) == 0 || rest[0] != 1 {
		return false
	}
	payload, ok := wholeBytes(rest[1:])
	if ok {
		*r = request{ua: ua, rq: rq, payload: payload}
	}
	return ok
}

// parseUsual reads { 0: { 0: rq }, 1: payload }.
func (r *response) parseUsual(frame []byte) bool {
	if len(frame) < 5 || binary.BigEndian.Uint32(frame) != 0xa200a100 {
		return false
	}
	rq, rest, ok := cutShort(frame[4:], majorBytes)
	if !ok || len(rq) < minRequestID || len(rq) > maxRequestID || len(rest) == 0 || rest[0] != 1 {
		return false
	}
	payload, ok := wholeBytes(rest[1:])
	if ok {
		*r = response{rq: rq, payload: payload}
	}
	return ok
}

// cutShort cuts off a string of the given major type and of less than 24 bytes.
func cutShort(b []byte, major byte) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	n := int(b[0]) - int(major<<5) + 1
	if n < 1 || n > 24 || n > len(b) {
		return nil, nil, false
	}
	return b[1:n:n], b[n:], true
}

// wholeBytes returns the content of b if that is one byte string, encoded deterministically.
func wholeBytes(b []byte) (content []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	first, rest := b[0]-majorBytes<<5, b[1:]
	var n, least int
	switch {
	case first < 24:
		n = int(first)
	case first == 24 && len(rest) >= 1:
		n, least, rest = int(rest[0]), 24, rest[1:]
	case first == 25 && len(rest) >= 2:
		n, least, rest = int(binary.BigEndian.Uint16(rest)), 1<<8, rest[2:]
	case first == 26 && len(rest) >= 4:
		n, least, rest = int(binary.BigEndian.Uint32(rest)), 1<<16, rest[4:]
	default:
		return nil, false
	}
	return rest[:len(rest):len(rest)], n == len(rest) && n >= least
}
