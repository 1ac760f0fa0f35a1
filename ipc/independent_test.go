package ipc_test

// A client of about a hundred lines, written from docs/protocol.md and the CDDL alone: it shares no code with package ipc
// and knows nothing but the standard library. independent_server_test.go lets it talk to the real server.

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
)

type (
	entry  struct{ key, value any }
	object []entry // in the order of its keys
)

func head(major byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 1<<8:
		return []byte{major<<5 | 24, byte(n)}
	case n < 1<<16:
		return []byte{major<<5 | 25, byte(n >> 8), byte(n)}
	}
	return []byte{major<<5 | 26, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func encode(value any) []byte {
	switch v := value.(type) {
	case int:
		return head(0, v)
	case []byte:
		return append(head(2, len(v)), v...)
	case string:
		return append(head(3, len(v)), v...)
	case object:
		b := head(5, len(v))
		for _, e := range v {
			b = append(append(b, encode(e.key)...), encode(e.value)...)
		}
		return b
	}
	panic(fmt.Sprintf("cannot encode %T", value))
}

// decode reads one item and returns what lies behind it.
func decode(b []byte) (value any, rest []byte) {
	major, n, b := b[0]>>5, int(b[0]&31), b[1:]
	if major == 7 {
		return map[int]any{20: false, 21: true, 22: nil}[n], b
	}
	if n >= 24 {
		size := 1 << (n - 24)
		n = int(binary.BigEndian.Uint64(append(make([]byte, 8-size), b[:size]...)))
		b = b[size:]
	}
	switch major {
	case 0:
		return n, b
	case 2:
		return b[:n], b[n:]
	case 3:
		return string(b[:n]), b[n:]
	case 4:
		var list []any
		for range n {
			value, b = decode(b)
			list = append(list, value)
		}
		return list, b
	case 5:
		var o object
		for range n {
			var e entry
			e.key, b = decode(b)
			e.value, b = decode(b)
			o = append(o, e)
		}
		return o, b
	}
	panic(fmt.Sprintf("cannot decode major type %d", major))
}

func (o object) get(key int) any {
	i := slices.IndexFunc(o, func(e entry) bool { return e.key == key })
	if i < 0 {
		return nil
	}
	return o[i].value
}

type client struct{ net.Conn }

// send sends the call, or a cancel if it is nil.
func (c client) send(rq string, call object) error {
	request := object{{0, object{{0, "independent/1"}, {1, []byte(rq)}}}}
	if call != nil {
		request = append(request, entry{1, encode(call)})
	}
	message := encode(request)
	_, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...))
	return err
}

// receive returns the next answer: the result or item, nil at the end of a stream, or an error.
func (c client) receive() (rq string, result any, err error) {
	size := make([]byte, 4)
	if _, err := io.ReadFull(c, size); err != nil {
		return "", nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(size))
	if _, err := io.ReadFull(c, message); err != nil {
		return "", nil, err
	}
	value, _ := decode(message)
	answer := value.(object)
	rq = string(answer.get(0).(object).get(0).([]byte))
	switch payload := answer.get(1).(type) {
	case int:
		text, hint, _ := strings.Cut(fmt.Sprint(answer.get(2)), "\nhint: ")
		return rq, nil, fmt.Errorf("code %d: %s (%s)", payload, text, hint)
	case []byte:
		result, _ = decode(payload)
	}
	return rq, result, nil
}
