package ipc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Major types of RFC 8949 section 3.1.
const (
	majorUint  = 0
	majorNint  = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	majorOther = 7
)

// maxDepth is how deep arrays and maps may nest. It bounds the stack that hostile input can make a decoder use.
const maxDepth = 32

// appendHead appends the head of an item: its major type and its argument in the shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= 0xff:
		return append(b, major|24, byte(n))
	case n <= 0xffff:
		return append(b, major|25, byte(n>>8), byte(n))
	case n <= 0xffffffff:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

// A cursor reads deterministically encoded CBOR (RFC 8949 section 4.2.1) and refuses everything else, without copying or
// allocating. Errors are sticky, so that parsers read straight on and look once at the end: fail stops reading, because
// the bytes make no sense any more; refuse remembers the first complaint and reads on, so that a request whose client
// name is wrong still yields the id to answer to.
type cursor struct {
	data   []byte
	pos    int
	broken bool // fail was called: nothing can be read any more
	err    *decodeError
}

// A decodeError says what is wrong with the input and where. Path names the field, if the input has fields.
type decodeError struct {
	what   string
	offset int
	path   string
}

func (e *decodeError) Error() string {
	if e.path != "" {
		return fmt.Sprintf("%s: %s (byte %d)", e.path, e.what, e.offset)
	}
	return fmt.Sprintf("%s (byte %d)", e.what, e.offset)
}

// fail records what is wrong at the current position and makes every later read fail too.
func (c *cursor) fail(what string) {
	c.refuse(what)
	c.pos, c.broken = len(c.data), true
}

// refuse records a complaint about input that can still be read on.
func (c *cursor) refuse(what string) {
	if c.err == nil {
		c.err = &decodeError{what: what, offset: c.pos}
	}
}

// result reports the first complaint, or that bytes are left over.
func (c *cursor) result() error {
	if c.err == nil && c.pos != len(c.data) {
		c.refuse("bytes after the end of the item")
	}
	if c.err == nil {
		return nil
	}
	return c.err
}

// peek returns the major type of the next item without reading it; 255 at the end of the input.
func (c *cursor) peek() byte {
	if c.pos >= len(c.data) {
		return 255
	}
	return c.data[c.pos] >> 5
}

// head reads the head of the next item. For major type 7 the argument is returned as it stands.
func (c *cursor) head() (major byte, n uint64) {
	if c.pos >= len(c.data) {
		c.fail("input ends too early")
		return 255, 0
	}
	first := c.data[c.pos]
	c.pos++
	return first >> 5, c.argument(first)
}

func (c *cursor) argument(first byte) uint64 {
	if info := first & 31; info < 24 {
		return uint64(info)
	}
	return c.longArgument(first)
}

func (c *cursor) longArgument(first byte) (n uint64) {
	info := first & 31
	if info > 27 {
		c.fail(unlessReserved(info))
		return 0
	}
	switch b := c.take(1 << (info - 24)); len(b) {
	case 1:
		n = uint64(b[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b))
	case 8:
		n = binary.BigEndian.Uint64(b)
	}
	if n < leastArgument[info-24] && first>>5 != majorOther {
		c.fail("integer or length not in its shortest form")
	}
	return n
}

// leastArgument is the smallest number that needs one, two, four, eight bytes.
var leastArgument = [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}

func unlessReserved(info byte) string {
	if info == 31 {
		return "indefinite length"
	}
	return "reserved additional information"
}

// take returns the next n bytes, aliasing the input; nil if there are fewer.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.data)-c.pos) {
		c.fail("input ends too early")
		return nil
	}
	start := c.pos
	c.pos += int(n)
	return c.data[start:c.pos:c.pos]
}

// uint reads an unsigned integer.
func (c *cursor) uint() uint64 {
	if !c.expect(majorUint, "an unsigned integer") {
		return 0
	}
	_, n := c.head()
	return n
}

// bytes reads a byte string, aliasing the input. It returns nil only on error.
func (c *cursor) bytes() []byte {
	if s := c.short(majorBytes); s != nil {
		return s
	}
	if !c.expect(majorBytes, "a byte string") {
		return nil
	}
	_, n := c.head()
	return c.take(n)
}

// text reads a text string, aliasing the input. It returns nil only on error.
func (c *cursor) text() []byte {
	s := c.short(majorText)
	if s == nil {
		if !c.expect(majorText, "a text string") {
			return nil
		}
		_, n := c.head()
		s = c.take(n)
	}
	if !utf8.Valid(s) {
		c.refuse("text is not UTF-8")
	}
	return s
}

// short reads a string of the given major type and of less than 24 bytes; nil if something else is next. Envelopes consist
// of such strings, and this much is inlined.
func (c *cursor) short(major byte) []byte {
	rest := c.data[c.pos:]
	if len(rest) == 0 || rest[0]>>5 != major || rest[0]&31 > 23 || int(rest[0]&31) >= len(rest) {
		return nil
	}
	n := int(rest[0]&31) + 1
	c.pos += n
	return rest[1:n:n]
}

// expect reports whether the next item is of the given major type. One that is not is refused and skipped.
func (c *cursor) expect(major byte, name string) bool {
	if c.peek() == major {
		return true
	}
	c.mismatch(name)
	return false
}

// mismatch refuses the next item for being of the wrong type, and skips it.
func (c *cursor) mismatch(want string) {
	c.refuse("want " + want + ", have " + kindName(c.peek()))
	c.skip(maxDepth)
}

func kindName(major byte) string {
	if int(major) < len(kindNames) {
		return kindNames[major]
	}
	return "nothing"
}

var kindNames = [...]string{"an unsigned integer", "a negative integer", "a byte string", "a text string", "an array", "a map", "a tag", "a simple value or float"}

// skip reads one item of any type, at most depth levels deep, and checks that it is encoded deterministically.
func (c *cursor) skip(depth int) {
	major := c.peek()
	switch major {
	case majorOther:
		c.simple()
	case majorText:
		c.text()
	case majorBytes:
		c.bytes()
	case majorArray, majorMap:
		c.skipContainer(depth)
	case majorTag:
		c.fail("tags are not allowed")
	default:
		c.head()
	}
}

func (c *cursor) skipContainer(depth int) {
	if depth == 0 {
		c.fail("nested too deeply")
		return
	}
	major, n := c.head()
	if !c.holds(n, int(major)-majorArray+1) {
		return
	}
	if major == majorArray {
		for ; n > 0 && !c.broken; n-- {
			c.skip(depth - 1)
		}
		return
	}
	var keys keyOrder
	for ; n > 0 && !c.broken; n-- {
		keys.next(c, depth-1)
		c.skip(depth - 1)
	}
}

// holds reports whether n entries of at least size bytes (1 or 2) can still follow, so that no loop runs on a length alone.
func (c *cursor) holds(n uint64, size int) bool {
	if n > uint64(len(c.data)-c.pos)>>(size-1) {
		c.fail("input ends too early")
		return false
	}
	return true
}

// keyOrder checks that the keys of a map ascend bytewise, which also excludes duplicates.
type keyOrder struct{ last []byte }

// next reads a key.
func (k *keyOrder) next(c *cursor, depth int) {
	start := c.pos
	c.skip(depth)
	key := c.data[start:c.pos]
	switch order := bytes.Compare(k.last, key); {
	case c.err != nil || k.last == nil:
	case order == 0:
		c.fail("duplicate map key")
	case order > 0:
		c.fail("map keys out of order")
	}
	k.last = key
}
