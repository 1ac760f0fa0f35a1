package ipc

// A call is the payload of a request. The slices alias the frame.
//
//	call = { 0: tstr ; method, ? 1: any ; arguments, ? 2: uint ; timeout in ms, ? 3: uint ; credit }
//
// Without a method it grants { 3: n } more items to a stream in flight.
type call struct {
	method    []byte // nil if absent
	arguments []byte // one CBOR item, checked to be deterministic; nil if absent
	timeout   optional
	credit    optional
	more      extra
}

// An optional is an unsigned integer that may be absent.
type optional struct {
	n  uint64
	ok bool
}

// parse reads the payload of a request.
func (k *call) parse(payload []byte) error {
	*k = call{}
	if k.parseUsual(payload) {
		return nil
	}
	return k.parseAny(payload)
}

// parseAny parses into a zero value.
func (k *call) parseAny(payload []byte) error {
	c := cursor{data: payload}
	entries := c.openMap()
	if entries.has(&c, 0) {
		k.method = c.text()
	}
	if entries.has(&c, 1) {
		start := c.pos
		c.skip(maxDepth)
		k.arguments = payload[start:c.pos:c.pos]
	}
	if entries.has(&c, 2) {
		k.timeout = optional{c.uint(), true}
	}
	if entries.has(&c, 3) {
		k.credit = optional{c.uint(), true}
	}
	k.more = entries.rest(&c)
	return c.result()
}

// isGrant reports whether k only grants credit.
func (k *call) isGrant() bool {
	return k.method == nil && k.arguments == nil && !k.timeout.ok && k.credit.ok
}

// appendTo appends k without any frame around it.
func (k *call) appendTo(b []byte) []byte {
	b = appendHead(b, majorMap, present(k.method)+present(k.arguments)+k.timeout.count()+k.credit.count()+k.more.n)
	b = appendOptional(b, 0, majorText, k.method)
	if k.arguments != nil {
		b = append(append(b, 1), k.arguments...)
	}
	b = k.timeout.appendTo(b, 2)
	b = k.credit.appendTo(b, 3)
	return append(b, k.more.raw...)
}

func (o optional) count() uint64 {
	if o.ok {
		return 1
	}
	return 0
}

func (o optional) appendTo(b []byte, key byte) []byte {
	if !o.ok {
		return b
	}
	return appendHead(append(b, key), majorUint, o.n)
}
