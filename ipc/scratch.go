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

// prefix puts head in front of the payload and fills in the length of the frame. The result aliases s.
func (s *scratch) prefix(head, tail []byte) outgoing {
	frame := s.b[headroom-len(head):]
	copy(frame, head)
	m := outgoing{frame: frame, body: s.body, tail: tail, owner: s}
	binary.BigEndian.PutUint32(frame, uint32(m.size()-frameHead))
	return m
}

// sealOK makes the payload that of an ok. An empty one is left out.
func (s *scratch) sealOK(rq []byte) outgoing {
	size := uint64(s.size())
	var room [headroom]byte
	head, _ := openFrame(room[:0])
	head = appendHead(head, majorMap, 1+min(1, size))
	head = append(head, 0, majorMap<<5|1, 0)
	head = appendString(head, majorBytes, rq)
	if size > 0 {
		head = appendHead(append(head, 1), majorBytes, size)
	}
	return s.prefix(head, nil)
}

// sealCall makes the payload the arguments of c, and c the payload of a request. Without a payload there are no
// arguments; c.arguments is not looked at.
func (s *scratch) sealCall(ua, rq []byte, c *call) outgoing {
	arguments := s.size()
	var room [headroom]byte
	inner := appendHead(room[:0], majorMap, 1+min(1, uint64(arguments))+c.timeout.count()+c.credit.count())
	inner = appendOptional(inner, 0, majorText, c.method)
	if arguments > 0 {
		inner = append(inner, 1)
	}
	s.tail = c.credit.appendTo(c.timeout.appendTo(s.tail[:0], 2), 3)
	if s.body == nil {
		s.b, s.tail = append(s.b, s.tail...), s.tail[:0]
	}

	var outer [headroom]byte
	head, _ := openFrame(outer[:0])
	head = append(head, majorMap<<5|2, 0, majorMap<<5|2, 0)
	head = appendString(head, majorText, ua)
	head = appendString(append(head, 1), majorBytes, rq)
	head = appendHead(append(head, 1), majorBytes, uint64(len(inner)+s.size()+len(s.tail)))
	return s.prefix(append(head, inner...), s.tail)
}
