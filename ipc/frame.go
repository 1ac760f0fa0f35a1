package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	frameHead   = 4        // bytes of length before every envelope
	smallBuffer = 4 << 10  // what a connection reads into at first: an idle one costs little more
	largeBuffer = 64 << 10 // what a busy one reads into: many frames per system call
	firstChunk  = 2 << 20  // how much of a large frame is allocated before any of it has come
	peekBytes   = 256      // of an oversize frame: enough to find the request id
)

// A frameReader cuts a byte stream into frames. It checks each length before it allocates, and never allocates more than
// firstChunk for bytes that have not come.
type frameReader struct {
	src   io.Reader
	limit int // frames above are skipped and reported as oversize
	abort int // frames above end the connection
	buf   []byte
	r, w  int // buf[r:w] is read and not yet consumed
	skip  int // bytes of an oversize frame that are still to be dropped
	full  bool
	large *scratch // a large frame of which have bytes of size have come
	have  int
	size  int
	trace func(frame []byte)
}

// An oversizeError reports a frame above the limit. Head holds its first bytes, valid until the next read.
type oversizeError struct {
	size, limit int
	head        []byte
}

func (e *oversizeError) Error() string {
	return fmt.Sprintf("message of %d bytes exceeds the limit of %d", e.size, e.limit)
}

// buffered reports whether next returns without reading from the source.
func (f *frameReader) buffered() bool {
	have := f.w - f.r
	return f.skip == 0 && f.large == nil && have >= frameHead && have-frameHead >= f.nextSize()
}

func (f *frameReader) nextSize() int { return int(binary.BigEndian.Uint32(f.buf[f.r:])) }

// next returns the next envelope, without its length. A large one comes in a scratch of its own, which is the caller's to
// keep or to put back; without an owner the frame is valid until the following call. The error is io.EOF at the end of the
// stream between frames, *oversizeError for a frame that is skipped, or of the source; if that can be read again, so can
// the frame.
func (f *frameReader) next() (frame []byte, owner *scratch, err error) {
	if err := f.drop(); err != nil {
		return nil, nil, err
	}
	if f.large == nil {
		frame, err = f.start()
	}
	if f.large != nil {
		owner, err = f.finishLarge()
		frame = owner.bytes()
	}
	if err == nil && f.trace != nil {
		f.trace(frame)
	}
	return frame, owner, err
}

// start returns a small frame, or begins to read a large one.
func (f *frameReader) start() (frame []byte, err error) {
	if err := f.fill(frameHead); err != nil {
		return nil, err
	}
	switch size := f.nextSize(); {
	case size > f.abort:
		return nil, fmt.Errorf("message of %d bytes exceeds the limit of %d by far", size, f.limit)
	case size > f.limit:
		return nil, f.oversize(size)
	case size > largeBuffer-frameHead:
		f.startLarge(size)
		return nil, nil
	default:
		return f.small(size)
	}
}

func (f *frameReader) small(size int) ([]byte, error) {
	if err := f.fill(frameHead + size); err != nil {
		return nil, err
	}
	start := f.r + frameHead
	f.r = start + size
	return f.buf[start:f.r:f.r], nil
}

// startLarge begins to read a frame into a scratch.
func (f *frameReader) startLarge(size int) {
	f.r += frameHead
	owner := takeScratch()
	if cap(owner.b) < size {
		owner.b = make([]byte, min(size, firstChunk))
	}
	owner.b = owner.b[:min(size, cap(owner.b))]
	f.large, f.size = owner, size
	f.have = copy(owner.b, f.buf[f.r:f.w])
	f.r += f.have
}

// finishLarge reads the rest of the frame. After an error it can be called again.
func (f *frameReader) finishLarge() (owner *scratch, err error) {
	owner = f.large
	for {
		n, err := io.ReadFull(f.src, owner.b[f.have:])
		f.have += n
		if err != nil {
			return nil, truncated(err)
		}
		if f.have == f.size {
			f.large = nil
			return owner, nil
		}
		owner.b = append(make([]byte, 0, f.size), owner.b...)[:f.size]
	}
}

func (f *frameReader) oversize(size int) error {
	peek := min(size, peekBytes)
	if err := f.fill(frameHead + peek); err != nil {
		return err
	}
	head := f.buf[f.r+frameHead : f.r+frameHead+peek]
	f.skip = frameHead + size
	return &oversizeError{size: size, limit: f.limit, head: head}
}

// drop reads past an oversize frame.
func (f *frameReader) drop() error {
	for f.skip > 0 {
		if f.r == f.w {
			if err := f.fill(1); err != nil {
				return truncated(err)
			}
		}
		n := min(f.skip, f.w-f.r)
		f.r += n
		f.skip -= n
	}
	return nil
}

// fill reads until n bytes are buffered.
func (f *frameReader) fill(n int) error {
	for f.w-f.r < n {
		f.makeRoom(n)
		m, err := f.src.Read(f.buf[f.w:])
		f.w += m
		f.full = f.w == len(f.buf)
		if m == 0 && err != nil {
			if f.w > f.r {
				err = truncated(err)
			}
			return err
		}
	}
	return nil
}

// makeRoom lets n bytes fit, and doubles the buffer of a connection that keeps filling it.
func (f *frameReader) makeRoom(n int) {
	want := max(len(f.buf), smallBuffer)
	if f.full {
		want = min(2*want, largeBuffer)
	}
	for want < n {
		want *= 2
	}
	if want > len(f.buf) {
		grown := make([]byte, want)
		f.w = copy(grown, f.buf[f.r:f.w])
		f.r, f.buf, f.full = 0, grown, false
		return
	}
	f.w = copy(f.buf, f.buf[f.r:f.w])
	f.r = 0
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
