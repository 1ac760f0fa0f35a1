package ipc

import (
	"bytes"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// A gather is what is being written: pieces of frames, and whose memory they are.
type gather struct {
	pieces [][]byte
	size   int // of all pieces, in bytes
	owners []*scratch
	small  []byte // the memory of the small frames
}

func (g *gather) add(s segment) {
	g.pieces = append(g.pieces, s.b)
	g.size += len(s.b)
	if s.owner != nil {
		g.owners = append(g.owners, s.owner)
	}
}

// write writes to a socket, in one system call.
func (g *gather) write(fd int) (int, error) {
	if len(g.pieces) == 1 {
		return syscall.Write(fd, g.pieces[0])
	}
	return unix.Writev(fd, g.pieces)
}

// advance drops the first n bytes. With the last of them the memory goes back to its owners; small returns that of the
// small frames.
func (g *gather) advance(n int) (small []byte) {
	g.size -= n
	done := 0
	for done < len(g.pieces) && n >= len(g.pieces[done]) {
		n -= len(g.pieces[done])
		done++
	}
	g.pieces = slices.Delete(g.pieces, 0, done)
	if len(g.pieces) > 0 {
		g.pieces[0] = g.pieces[0][n:]
		return nil
	}
	for _, owner := range g.owners {
		owner.put()
	}
	clear(g.owners)
	g.owners = g.owners[:0]
	small, g.small = g.small, nil
	return small
}

// cloneIf copies piece if it is the end of body.
func cloneIf(piece, body []byte) []byte {
	if len(piece) > 0 && len(piece) <= len(body) && &piece[len(piece)-1] == &body[len(body)-1] {
		return bytes.Clone(piece)
	}
	return piece
}
