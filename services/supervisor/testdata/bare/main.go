// Bare is the least daemon that Go makes: it takes descriptor 3, answers one connection and leaves.
package main

import (
	"io"
	"net"
	"os"
)

func main() {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		panic(err)
	}
	c, err := l.Accept()
	if err != nil {
		panic(err)
	}
	frame := make([]byte, 64)
	n, err := c.Read(frame)
	if err != nil {
		panic(err)
	}
	if _, err := c.Write(frame[:n]); err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, c)
}
