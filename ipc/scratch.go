package ipc

import (
	"encoding/binary"
	"sync"
)

// headroom is kept free in front of a payload that is being encoded, so that the envelope can be put there when the
// payload's length is known and a message of any size is never copied. In bytes, more than any envelope of ours needs.
const headroom = 160

// maxMethod is how long a method's name may be, in bytes.
const maxMethod = 64

// A scratch is a reusable buffer for one message: headroom and payload of one to be sent, or a large one that was received.
// A large byte string at the end of a payload stays where it is, as the body.
type scratch struct {
	b, body, tail []byte   // tail follows the body
	start         int      // where the envelope begins in b
	under         *scratch // what the body may alias, to be put back with it
}

var scratches = sync.Pool{New: func() any { return &scratch{b: make([]byte, headroom, 512)} }}

func takeScratch() *scratch { return scratches.Get().(*scratch) }

// put gives s back. A nil scratch is nobody's.
func (s *scratch) put() {
	if s == nil {
		return
	}
	s.under.put()
	s.b, s.body, s.under = s.b[:headroom], nil, nil
	scratches.Put(s)
}

// bytes is all that s holds; nil for no scratch.
func (s *scratch) bytes() []byte {
	if s == nil {
		return nil
	}
	return s.b
}

// payload is what was appended to s.b.
func (s *scratch) payload() []byte { return s.b[headroom:] }

// size is how long the payload and the body are.
func (s *scratch) size() int { return len(s.b) - headroom + len(s.body) }

// appendBytes appends a byte string to the payload, of which it is the end. A large one is not copied.
func (s *scratch) appendBytes(b []byte) {
	s.b = appendHead(s.b, majorBytes, uint64(len(b)))
	if len(b) < largeFrame {
		s.b = append(s.b, b...)
	} else {
		s.body = b
	}
}

// own makes s independent of whoever lent it the body.
func (s *scratch) own() {
	s.b, s.body = append(s.b, s.body...), nil
}

// keep makes s hold what its body, if there is one, may alias.
func (s *scratch) keep(frame **scratch) {
	if s.body != nil {
		s.under, *frame = *frame, nil
	}
}

// push puts b in front of what stands in front of the payload already: envelopes are built backwards, as the lengths in
// their heads are those of what follows.
func (s *scratch) push(b []byte) {
	s.start -= len(b)
	copy(s.b[s.start:], b)
}

func (s *scratch) pushByte(b byte) {
	s.start--
	s.b[s.start] = b
}

func (s *scratch) pushHead(major byte, n int) {
	switch {
	case n < 24:
		s.pushByte(major<<5 | byte(n))
	case n <= 0xff:
		s.pushByte(byte(n))
		s.pushByte(major<<5 | 24)
	default:
		var room [9]byte
		s.push(appendHead(room[:0], major, uint64(n)))
	}
}

func (s *scratch) pushString(major byte, b []byte) {
	s.push(b)
	s.pushHead(major, len(b))
}

// pushMap pushes the head of a map and its first key, 0. The value and the other entries are there already.
func (s *scratch) pushMap(entries int) {
	s.pushByte(0)
	s.pushHead(majorMap, entries)
}

// frame closes the envelope. It aliases s.
func (s *scratch) frame() outgoing {
	size := len(s.b) - s.start + len(s.body) + len(s.tail)
	s.start -= frameHead
	binary.BigEndian.PutUint32(s.b[s.start:], uint32(size))
	return outgoing{frame: s.b[s.start:], body: s.body, tail: s.tail, owner: s}
}

// sealOK makes the payload that of an ok. An empty one is left out.
func (s *scratch) sealOK(rq []byte) outgoing {
	s.start, s.tail = headroom, s.tail[:0]
	entries := 1
	if size := s.size(); size > 0 {
		s.pushHead(majorBytes, size)
		s.pushByte(1)
		entries = 2
	}
	s.pushString(majorBytes, rq)
	s.pushMap(1)
	s.pushMap(entries)
	return s.frame()
}

// sealCall makes the payload the arguments of c, and c the payload of a request. Without a payload there are no
// arguments; c.arguments is not looked at.
func (s *scratch) sealCall(ua, rq []byte, c *call) outgoing {
	s.start = headroom
	entries := 1 + int(c.timeout.count()+c.credit.count())
	if s.size() > 0 {
		s.pushByte(1)
		entries++
	}
	s.pushString(majorText, c.method)
	s.pushMap(entries)
	s.tail = c.credit.appendTo(c.timeout.appendTo(s.tail[:0], 2), 3)
	if s.body == nil {
		s.b, s.tail = append(s.b, s.tail...), s.tail[:0]
	}

	s.pushHead(majorBytes, len(s.b)-s.start+len(s.body)+len(s.tail))
	s.pushByte(1)
	s.pushString(majorBytes, rq)
	s.pushByte(1)
	s.pushString(majorText, ua)
	s.pushMap(2)
	s.pushMap(2)
	return s.frame()
}
