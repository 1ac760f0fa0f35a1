package ipc

import "sync"

// headroom is kept free in front of a payload that is being encoded, so that the envelope can be put there when the
// payload's length is known and a message of any size is never copied. In bytes, more than any envelope of ours needs.
const headroom = 160

// maxMethod is how long a method's name may be, in bytes.
const maxMethod = 64

// A scratch is a reusable buffer for one message: headroom and payload of one to be sent, or a large one that was received.
type scratch struct{ b []byte }

var scratches = sync.Pool{New: func() any { return &scratch{b: make([]byte, headroom, 512)} }}

func takeScratch() *scratch { return scratches.Get().(*scratch) }

// put gives s back. A nil scratch is nobody's.
func (s *scratch) put() {
	if s == nil {
		return
	}
	s.b = s.b[:headroom]
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

// prefix puts head in front of the payload and fills in the length of the frame. The result aliases s.
func (s *scratch) prefix(head []byte) (frame []byte) {
	frame = s.b[headroom-len(head):]
	copy(frame, head)
	return closeFrame(frame, 0)
}

// sealOK makes the payload that of an ok. An empty one is left out.
func (s *scratch) sealOK(rq []byte) (frame []byte) {
	payload := s.payload()
	var room [headroom]byte
	head, _ := openFrame(room[:0])
	head = appendHead(head, majorMap, 1+min(1, uint64(len(payload))))
	head = append(head, 0, majorMap<<5|1, 0)
	head = appendString(head, majorBytes, rq)
	if len(payload) > 0 {
		head = appendHead(append(head, 1), majorBytes, uint64(len(payload)))
	}
	return s.prefix(head)
}

// sealCall makes the payload the arguments of c, and c the payload of a request. Without a payload there are no
// arguments; c.arguments is not looked at.
func (s *scratch) sealCall(ua, rq []byte, c *call) (frame []byte) {
	arguments := len(s.payload())
	var room [headroom]byte
	inner := appendHead(room[:0], majorMap, 1+min(1, uint64(arguments))+c.timeout.count()+c.credit.count())
	inner = appendOptional(inner, 0, majorText, c.method)
	if arguments > 0 {
		inner = append(inner, 1)
	}
	s.b = c.timeout.appendTo(s.b, 2)
	s.b = c.credit.appendTo(s.b, 3)

	var outer [headroom]byte
	head, _ := openFrame(outer[:0])
	head = append(head, majorMap<<5|2, 0, majorMap<<5|2, 0)
	head = appendString(head, majorText, ua)
	head = appendString(append(head, 1), majorBytes, rq)
	head = appendHead(append(head, 1), majorBytes, uint64(len(inner)+len(s.payload())))
	return s.prefix(append(head, inner...))
}
