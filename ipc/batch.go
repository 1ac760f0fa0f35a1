package ipc

import (
	"bytes"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// A batch is what is being written: pieces of frames, and whose memory they are.
type batch struct {
	pieces [][]byte
	size   int // of all pieces, in bytes
	owners []*scratch
	small  []byte // the memory of the small frames
}

func (b *batch) add(s segment) {
	b.pieces = append(b.pieces, s.b)
	b.size += len(s.b)
	if s.owner != nil {
		b.owners = append(b.owners, s.owner)
	}
}

// write writes to a socket, in one system call.
func (b *batch) write(fd int) (int, error) {
	if len(b.pieces) == 1 {
		return syscall.Write(fd, b.pieces[0])
	}
	return unix.Writev(fd, b.pieces)
}

// advance drops the first n bytes. With the last of them the memory goes back to its owners; small returns that of the
// small frames.
func (b *batch) advance(n int) (small []byte) {
	b.size -= n
	done := 0
	for done < len(b.pieces) && n >= len(b.pieces[done]) {
		n -= len(b.pieces[done])
		done++
	}
	b.pieces = slices.Delete(b.pieces, 0, done)
	if len(b.pieces) > 0 {
		b.pieces[0] = b.pieces[0][n:]
		return nil
	}
	for _, owner := range b.owners {
		owner.put()
	}
	clear(b.owners)
	b.owners = b.owners[:0]
	small, b.small = b.small, nil
	return small
}

// cloneIf copies piece if it is the end of body.
func cloneIf(piece, body []byte) []byte {
	if len(piece) > 0 && len(piece) <= len(body) && &piece[len(piece)-1] == &body[len(body)-1] {
		return bytes.Clone(piece)
	}
	return piece
}
