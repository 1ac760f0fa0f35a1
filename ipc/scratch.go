package ipc

import "sync"

// A scratch is a reusable buffer for one message.
type scratch struct{ b []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func takeScratch() *scratch { return scratches.Get().(*scratch) }

// put gives s back, unless it grew so large that keeping it would cost more than making a new one.
func (s *scratch) put() {
	if cap(s.b) > maxKept {
		return
	}
	s.b = s.b[:0]
	scratches.Put(s)
}
