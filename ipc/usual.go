package ipc

import (
	"encoding/binary"
	"unicode/utf8"
)

// Almost every message has one of three layouts, which differ only in lengths and bytes. The functions of this file read them
// in one go into a zero value, which they leave alone if they report false: everything else, good or bad, is for the parsers in
// envelope.go and call.go.

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
		r.ua, r.rq, r.payload = ua, rq, payload
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
		r.rq, r.payload = rq, payload
	}
	return ok
}

// parseUsual reads { 0: method, 1: arguments, 2: timeout } with a method of less than 24 bytes.
func (k *call) parseUsual(payload []byte) bool {
	if len(payload) < 3 || payload[0] != majorMap<<5|3 || payload[1] != 0 {
		return false
	}
	method, rest, ok := cutShort(payload[2:], majorText)
	if !ok || !utf8.Valid(method) || len(rest) == 0 || rest[0] != 1 {
		return false
	}
	c := cursor{data: rest, pos: 1}
	c.skip(maxDepth)
	arguments, rest := rest[1:c.pos:c.pos], rest[c.pos:]
	if c.err != nil || len(rest) == 0 || rest[0] != 2 {
		return false
	}
	timeout, rest, ok := cutHead(rest[1:], majorUint)
	if ok = ok && len(rest) == 0; ok {
		k.method, k.arguments, k.timeout = method, arguments, optional{uint64(timeout), true}
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
	n, content, ok := cutHead(b, majorBytes)
	return content, ok && n == len(content)
}

// cutHead cuts off the head of an item of the given major type, encoded deterministically in at most five bytes.
func cutHead(b []byte, major byte) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	first, rest, least := b[0]-major<<5, b[1:len(b):len(b)], 0
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
		return 0, nil, false
	}
	return n, rest, n >= least
}
