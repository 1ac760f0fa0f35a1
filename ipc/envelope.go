package ipc

import "encoding/binary"

// Limits of the envelope's fields, in bytes (RFC 0682; a longer ua is accepted because the RFC's own example has 26).
const (
	minUserAgent  = 4
	sendUserAgent = 16
	maxUserAgent  = 64
	minRequestID  = 4
	maxRequestID  = 16
	maxToken      = 1024 // ours
)

// firstIgnoredKey is where unknown keys of envelope and call are ignored; lower ones are reserved and refused.
const firstIgnoredKey = 16

// reservedID is the request id of messages that concern the connection and not one request.
const reservedID = "\x00\x00\x00\x00"

// A request is RFC 0682's request envelope. All slices alias the frame that it was read from.
//
//	request         = { 0: request-headers, ? 1: bstr }
//	request-headers = { 0: tstr ; ua, 1: bstr ; rq, ? 2: bstr ; token }
type request struct {
	ua, rq, token []byte
	payload       []byte // nil if absent
	headerMore    extra
	more          extra
}

// A response is RFC 0682's ok or error envelope. All slices alias the frame that it was read from.
//
//	ok    = { 0: { 0: rq }, ? 1: bstr }
//	error = { 0: { 0: rq }, 1: uint ; code, ? 2: tstr ; message }
type response struct {
	rq         []byte
	isError    bool
	payload    []byte // of an ok; nil if absent
	code       uint64
	message    []byte // of an error; nil if absent
	headerMore extra
	more       extra
}

// extra holds the entries of a map whose keys this version ignores, as they came: they sort last, so they are one piece.
type extra struct {
	n   uint64
	raw []byte
}

// fields reads a map whose keys are ascending unsigned integers: a parser asks for the keys that it knows in their order.
type fields struct {
	left uint64
	last int64
}

func (c *cursor) openMap() fields {
	if c.peek() != majorMap {
		c.mismatch("a map")
		return fields{}
	}
	_, n := c.head()
	if !c.holds(n, 2) {
		n = 0
	}
	return fields{left: n, last: -1}
}

// has reads the next key if it is the given one, which must be below 24.
func (f *fields) has(c *cursor, key byte) bool {
	if f.left == 0 || c.pos >= len(c.data) || c.data[c.pos] != key {
		return false
	}
	c.pos++
	f.left--
	f.last = int64(key)
	return true
}

// rest reads the entries that has did not find: unknown keys, which are refused, and then those to ignore.
func (f *fields) rest(c *cursor) (more extra) {
	start := c.pos
	for f.left > 0 && !c.broken {
		f.readKey(c)
		c.skip(maxDepth - 2)
		if f.last >= firstIgnoredKey {
			more.n++
		} else {
			start = c.pos
		}
	}
	if more.n > 0 {
		more.raw = c.data[start:c.pos]
	}
	return more
}

// readKey reads a key of any kind and complains unless it is one to ignore.
func (f *fields) readKey(c *cursor) {
	f.left--
	if c.peek() != majorUint {
		c.fail("map key is not an unsigned integer")
		return
	}
	_, key := c.head()
	switch {
	case key > 1<<62:
		c.fail("map key too large")
	case int64(key) == f.last:
		c.fail("duplicate map key")
	case int64(key) < f.last:
		c.fail("map keys out of order")
	case key < firstIgnoredKey:
		c.refuse("unknown map key")
	}
	f.last = int64(key)
}

// parse reads a request envelope. If it fails, rq is set if it could be read, so that the request can be answered.
func (r *request) parse(frame []byte) error {
	*r = request{}
	if r.parseUsual(frame) {
		return nil
	}
	return r.parseAny(frame)
}

// parseAny parses into a zero value.
func (r *request) parseAny(frame []byte) error {
	c := cursor{data: frame}
	entries := c.openMap()
	if entries.has(&c, 0) {
		r.parseHeaders(&c)
	} else {
		c.refuse("the headers are missing")
	}
	if entries.has(&c, 1) {
		r.payload = c.bytes()
	}
	r.more = entries.rest(&c)
	return c.result()
}

func (r *request) parseHeaders(c *cursor) {
	entries := c.openMap()
	if entries.has(c, 0) {
		r.ua = c.text()
	}
	if len(r.ua) < minUserAgent || len(r.ua) > maxUserAgent {
		c.refuse("the ua header must be there and have 4 to 64 bytes")
	}
	if entries.has(c, 1) {
		r.rq = c.requestID()
	} else {
		c.refuse("the rq header is missing")
	}
	if entries.has(c, 2) {
		r.token = c.bytes()
	}
	r.headerMore = entries.rest(c)
}

// requestID reads an rq. One of a forbidden length is refused and not returned, as no answer could carry it.
func (c *cursor) requestID() []byte {
	rq := c.bytes()
	if len(rq) < minRequestID || len(rq) > maxRequestID {
		c.refuse("the rq header must have 4 to 16 bytes")
		return nil
	}
	return rq
}

// parse reads a response envelope. If it fails, rq is set if it could be read.
func (r *response) parse(frame []byte) error {
	*r = response{}
	if r.parseUsual(frame) {
		return nil
	}
	return r.parseAny(frame)
}

// parseAny parses into a zero value.
func (r *response) parseAny(frame []byte) error {
	c := cursor{data: frame}
	entries := c.openMap()
	if entries.has(&c, 0) {
		r.parseHeaders(&c)
	} else {
		c.refuse("the headers are missing")
	}
	if entries.has(&c, 1) {
		r.parseOutcome(&c, &entries)
	}
	r.more = entries.rest(&c)
	return c.result()
}

func (r *response) parseHeaders(c *cursor) {
	entries := c.openMap()
	if entries.has(c, 0) {
		r.rq = c.requestID()
	} else {
		c.refuse("the rq header is missing")
	}
	r.headerMore = entries.rest(c)
}

// parseOutcome tells ok from error by the type of key 1, as RFC 0682 has no other mark.
func (r *response) parseOutcome(c *cursor, entries *fields) {
	if c.peek() != majorUint {
		r.payload = c.bytes()
		return
	}
	r.isError, r.code = true, c.uint()
	if entries.has(c, 2) {
		r.message = c.text()
	}
}

// appendTo appends r as a frame: length and envelope.
func (r *request) appendTo(b []byte) []byte {
	b, start := openFrame(b)
	b = appendHead(b, majorMap, 1+present(r.payload)+r.more.n)
	b = append(b, 0)
	b = appendHead(b, majorMap, 2+present(r.token)+r.headerMore.n)
	b = append(b, 0)
	b = appendString(b, majorText, r.ua)
	b = append(b, 1)
	b = appendString(b, majorBytes, r.rq)
	b = appendOptional(b, 2, majorBytes, r.token)
	b = append(b, r.headerMore.raw...)
	b = appendOptional(b, 1, majorBytes, r.payload)
	b = append(b, r.more.raw...)
	return closeFrame(b, start)
}

// appendTo appends r as a frame: length and envelope.
func (r *response) appendTo(b []byte) []byte {
	b, start := openFrame(b)
	entries := 1 + present(r.payload)
	if r.isError {
		entries = 2 + present(r.message)
	}
	b = appendHead(b, majorMap, entries+r.more.n)
	b = append(b, 0)
	b = appendHead(b, majorMap, 1+r.headerMore.n)
	b = append(b, 0)
	b = appendString(b, majorBytes, r.rq)
	b = append(b, r.headerMore.raw...)
	if r.isError {
		b = append(b, 1)
		b = appendHead(b, majorUint, r.code)
		b = appendOptional(b, 2, majorText, r.message)
	} else {
		b = appendOptional(b, 1, majorBytes, r.payload)
	}
	b = append(b, r.more.raw...)
	return closeFrame(b, start)
}

func present(field []byte) uint64 {
	if field == nil {
		return 0
	}
	return 1
}

func appendOptional(b []byte, key, major byte, field []byte) []byte {
	if field == nil {
		return b
	}
	return appendString(append(b, key), major, field)
}

func appendString(b []byte, major byte, s []byte) []byte {
	return append(appendHead(b, major, uint64(len(s))), s...)
}

// openFrame makes room for a frame's length and returns where it stands; closeFrame fills it in.
func openFrame(b []byte) ([]byte, int) { return append(b, 0, 0, 0, 0), len(b) }

func closeFrame(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}
