// Package pktline reads and writes git's pkt-lines (gitprotocol-common): four hexadecimal digits of length, then data.
// It owns the framing alone; what the lines say belongs to the packages that use it.
package pktline

import (
	"errors"
	"fmt"
	"io"
)

// MaxData is the most that one line carries, in bytes (gitprotocol-common).
const MaxData = 65516

const digits = 4

// ErrFlush is returned by Read for a flush packet ("0000"), which ends a list.
var ErrFlush = errors.New("flush packet")

// Read reads one line and nothing beyond it, so that what follows can be handed to another process together with the
// file descriptor. It appends the data to buf[:0] and returns it with one trailing newline removed; max limits the
// data in bytes. A flush packet is ErrFlush; a line cut short is io.ErrUnexpectedEOF, the end of input before one is io.EOF.
func Read(r io.Reader, buf []byte, max int) ([]byte, error) {
	var head [digits]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size, err := length(head)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, ErrFlush
	}
	return readData(r, buf, size-digits, max)
}

func readData(r io.Reader, buf []byte, size, max int) ([]byte, error) {
	if size < 0 {
		return nil, fmt.Errorf("special packet %04x where a line was expected", size+digits)
	}
	if size > max {
		return nil, fmt.Errorf("line of %d bytes, at most %d are accepted", size, max)
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	line := buf[:size]
	if _, err := io.ReadFull(r, line); errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	if size > 0 && line[size-1] == '\n' {
		line = line[:size-1]
	}
	return line, nil
}

// length decodes the four digits; git writes lower case and accepts both.
func length(head [digits]byte) (int, error) {
	size := 0
	for _, c := range head {
		var v byte
		switch {
		case c >= '0' && c <= '9':
			v = c - '0'
		case c >= 'a' && c <= 'f':
			v = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			v = c - 'A' + 10
		default:
			return 0, fmt.Errorf("bad length %q of a packet line", head[:])
		}
		size = size<<4 | int(v)
	}
	return size, nil
}

// Append appends line as one packet to dst. A line longer than MaxData is a mistake of the caller and panics: every
// caller bounds what it writes.
func Append(dst []byte, line string) []byte {
	if len(line) > MaxData {
		panic("pktline: line too long")
	}
	return append(fmt.Appendf(dst, "%04x", len(line)+digits), line...)
}

// AppendFlush appends a flush packet to dst.
func AppendFlush(dst []byte) []byte {
	return append(dst, "0000"...)
}
