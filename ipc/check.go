package ipc

import "bytes"

// checkItem checks that data is one deterministically encoded item of the shape s. If it is tolerant, fields that s does not know
// are checked to be well-formed and passed over: so an older client reads the results of a newer daemon, while a daemon
// refuses arguments that it would not honour.
func checkItem(data []byte, s *schema, tolerant bool) error {
	c := checker{cursor: cursor{data: data}, tolerant: tolerant}
	c.item(s, maxDepth)
	return c.result()
}

type checker struct {
	cursor
	tolerant bool
}

const null = majorOther<<5 | 22

func (c *checker) item(s *schema, depth int) {
	switch s.kind {
	case kindAny:
		c.skip(depth)
	case kindNullable:
		if c.pos < len(c.data) && c.data[c.pos] == null {
			c.pos++
			return
		}
		c.item(s.elem, depth)
	case kindBool:
		c.boolean()
	case kindUint:
		c.uint()
	case kindInt:
		c.integer()
	case kindFloat:
		c.float()
	case kindText:
		c.text()
	case kindBytes:
		c.byteString(s)
	default:
		c.container(s, depth)
	}
}

func (c *checker) boolean() {
	if c.pos < len(c.data) && c.data[c.pos]&^1 == majorOther<<5|20 {
		c.pos++
		return
	}
	c.mismatch("true or false")
}

func (c *checker) integer() {
	if major := c.peek(); major != majorUint && major != majorNint {
		c.mismatch("an integer")
		return
	}
	c.head()
}

func (c *checker) float() {
	if c.pos >= len(c.data) || c.data[c.pos] < majorOther<<5|25 || c.data[c.pos] > majorOther<<5|27 {
		c.mismatch("a float")
		return
	}
	c.simple()
}

func (c *checker) byteString(s *schema) {
	if b := c.bytes(); s.fixed && uint64(len(b)) != s.length {
		c.refuse("wrong number of bytes")
	}
}

func (c *checker) container(s *schema, depth int) {
	want, name := byte(majorMap), "a map"
	if s.kind == kindList {
		want, name = majorArray, "an array"
	}
	switch {
	case c.peek() != want:
		c.mismatch(name)
		return
	case depth == 0:
		c.fail("nested too deeply")
		return
	}
	_, n := c.head()
	if !c.holds(n, int(want)-majorArray+1) {
		return
	}
	switch s.kind {
	case kindList:
		c.list(s, n, depth-1)
	case kindDict:
		c.dict(s, n, depth-1)
	default:
		c.record(s, n, depth-1)
	}
}

func (c *checker) list(s *schema, n uint64, depth int) {
	if s.fixed && n != s.length {
		c.refuse("wrong number of elements")
	}
	for ; n > 0 && !c.broken; n-- {
		c.item(s.elem, depth)
	}
}

func (c *checker) dict(s *schema, n uint64, depth int) {
	var keys keyOrder
	for ; n > 0 && !c.broken; n-- {
		start := c.pos
		keys.next(&c.cursor, depth)
		key := checker{cursor: cursor{data: c.data[start:c.pos]}}
		if key.item(s.key, depth); key.err != nil && c.err == nil {
			c.refuse("map key: " + key.err.what)
		}
		c.item(s.elem, depth)
	}
}

// record walks the entries of a map and the fields of a struct side by side, as both ascend by key.
func (c *checker) record(s *schema, n uint64, depth int) {
	var keys keyOrder
	fields := s.fields
	for ; n > 0 && !c.broken; n-- {
		keys.next(&c.cursor, depth)
		for len(fields) > 0 && bytes.Compare(fields[0].key, keys.last) < 0 {
			c.missing(fields[0])
			fields = fields[1:]
		}
		if len(fields) == 0 || !bytes.Equal(fields[0].key, keys.last) {
			c.unknownField(keys.last, depth)
			continue
		}
		c.field(fields[0], depth)
		fields = fields[1:]
	}
	for _, f := range fields {
		c.missing(f)
	}
}

// field checks one value; on the way back up, a complaint gets the names of the fields that lead to it.
func (c *checker) field(f schemaField, depth int) {
	before := c.err
	c.item(f.schema, depth)
	if c.err != nil && before == nil {
		c.err.path = joinPath(f.name, c.err.path)
	}
}

func joinPath(name, rest string) string {
	if rest == "" {
		return name
	}
	return name + "." + rest
}

func (c *checker) missing(f schemaField) {
	if f.required && c.err == nil {
		c.refuse("required field is missing")
		c.err.path = f.name
	}
}

func (c *checker) unknownField(key []byte, depth int) {
	if !c.tolerant {
		name, _ := Diagnostic(key)
		c.refuse("unknown field with key " + name)
	}
	c.skip(depth)
}
