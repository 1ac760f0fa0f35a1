package ipc

import (
	"bytes"
	"testing"
)

// TestInlineAnswerThatWaits has an inline handler return its argument, which came in the reader's buffer. The socket may not
// take the answer at once, and the reader goes on: what it reads next must not get into the answer.
func TestInlineAnswerThatWaits(t *testing.T) {
	for _, size := range []int{1, largeFrame - 1, largeFrame, largeBuffer} {
		k := &serverConn{srv: &Server{}, ctx: t.Context()}
		arguments := appendString(nil, majorBytes, bytes.Repeat([]byte{'a'}, size))
		want, out := bytes.Clone(arguments), takeScratch()
		if err := k.callInline(testMux().methods["test.echo"], &call{arguments: arguments}, out); err != nil {
			t.Fatal(err)
		}
		clear(arguments)
		if got := append(bytes.Clone(out.payload()), out.body...); !bytes.Equal(got, want) {
			t.Errorf("an answer of %d bytes has changed", size)
		}
	}
}
