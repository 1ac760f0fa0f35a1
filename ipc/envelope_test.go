package ipc

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// unhex decodes hex digits, spaces between them ignored.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example messages: ua "lnk/1", rq 00000001, the payload a placeholder byte.
var (
	exampleUA = []byte("lnk/1")
	exampleRQ = []byte{0, 0, 0, 1}
)

func TestExampleRequests(t *testing.T) {
	tests := []struct {
		name  string
		frame string
		want  request
	}{
		{"request", "00000013 a2 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80", request{ua: exampleUA, rq: exampleRQ, payload: []byte{0x80}}},
		{"request with token", "00000016 a2 00 a3 00 65 6c6e6b2f31 01 44 00000001 02 41 ff 01 41 80", request{ua: exampleUA, rq: exampleRQ, token: []byte{0xff}, payload: []byte{0x80}}},
		{"cancel", "00000010 a1 00 a2 00 65 6c6e6b2f31 01 44 00000001", request{ua: exampleUA, rq: exampleRQ}},
		{"empty payload", "00000012 a2 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 40", request{ua: exampleUA, rq: exampleRQ, payload: []byte{}}},
	}
	for _, test := range tests {
		frame := unhex(t, test.frame)
		if got := test.want.appendTo(nil); !bytes.Equal(got, frame) {
			t.Errorf("%s: encoded %x, want %x", test.name, got, frame)
		}
		var got request
		if err := got.parse(frame[frameHead:]); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: decoded %+v, %v", test.name, got, err)
		}
	}
}

func TestExampleResponses(t *testing.T) {
	tests := []struct {
		name  string
		frame string
		want  response
	}{
		{"ok", "0000000c a2 00 a1 00 44 00000001 01 41 80", response{rq: exampleRQ, payload: []byte{0x80}}},
		{"end of stream", "00000009 a1 00 a1 00 44 00000001", response{rq: exampleRQ}},
		{"error with message", "00000013 a3 00 a1 00 44 00000001 01 02 02 66 6e6f206b6579", response{rq: exampleRQ, isError: true, code: 2, message: []byte("no key")}},
		{"error", "0000000b a2 00 a1 00 44 00000001 01 02", response{rq: exampleRQ, isError: true, code: 2}},
	}
	for _, test := range tests {
		frame := unhex(t, test.frame)
		if got := test.want.appendTo(nil); !bytes.Equal(got, frame) {
			t.Errorf("%s: encoded %x, want %x", test.name, got, frame)
		}
		var got response
		if err := got.parse(frame[frameHead:]); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: decoded %+v, %v", test.name, got, err)
		}
	}
}

// TestSealedFrames checks that the envelopes which are put in front of a payload are the ones that appendTo makes.
func TestSealedFrames(t *testing.T) {
	for _, size := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
		payload := bytes.Repeat([]byte{0xf6}, size)
		s := &scratch{b: append(make([]byte, headroom), payload...)}
		want := response{rq: exampleRQ, payload: payload}
		if size == 0 {
			want.payload = nil
		}
		if got := joined(s.sealOK(exampleRQ)); !bytes.Equal(got, want.appendTo(nil)) {
			t.Errorf("ok with %d bytes: %.40x", size, got)
		}
		c := call{method: bytes.Repeat([]byte{'m'}, maxMethod), arguments: want.payload, timeout: optional{1 << 40, true}, credit: optional{7, true}}
		r := request{ua: make([]byte, sendUserAgent), rq: make([]byte, maxRequestID), payload: c.appendTo(nil)}
		s = &scratch{b: append(make([]byte, headroom), payload...)}
		if got := joined(s.sealCall(r.ua, r.rq, &c)); !bytes.Equal(got, r.appendTo(nil)) {
			t.Errorf("call with %d bytes of arguments: %.100x", size, got)
		}
	}
}

func joined(m outgoing) []byte { return slices.Concat(m.frame, m.body, m.tail) }

// TestSealedBodies is the same for byte strings that stay where they are.
func TestSealedBodies(t *testing.T) {
	for _, size := range []int{0, 23, 24, largeFrame - 1, largeFrame, 65535, 65536} {
		value := bytes.Repeat([]byte{'v'}, size)
		payload := appendString(nil, majorBytes, value)
		s := takeScratch()
		s.appendBytes(value)
		want := response{rq: exampleRQ, payload: payload}
		if got := joined(s.sealOK(exampleRQ)); !bytes.Equal(got, want.appendTo(nil)) {
			t.Errorf("ok with %d bytes: %.40x", size, got)
		}
		if borrowed := s.body != nil; borrowed != (size >= largeFrame) {
			t.Errorf("%d bytes: a body %v", size, borrowed)
		}
		c := call{method: []byte("m"), arguments: payload, timeout: optional{1 << 40, true}, credit: optional{7, true}}
		r := request{ua: exampleUA, rq: exampleRQ, payload: c.appendTo(nil)}
		if got := joined(s.sealCall(exampleUA, exampleRQ, &c)); !bytes.Equal(got, r.appendTo(nil)) {
			t.Errorf("call with %d bytes of arguments: %.100x", size, got)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	const head = "a2 00 a2 00 65 6c6e6b2f31 01 44 00000001"
	tests := []struct {
		name, envelope, want string
		answered             bool // the request id can be read
	}{
		{"nothing", "", "want a map, have nothing", false},
		{"not a map", "80", "want a map, have an array", false},
		{"empty map", "a0", "the headers are missing", false},
		{"truncated", head + " 01 44 80", "ends too early", true},
		{"truncated length", head + " 01 58", "ends too early", true},
		{"huge length", head + " 01 5b ffffffffffffffff", "ends too early", true},
		{"huge map", "bb ffffffffffffffff 00", "ends too early", false},
		{"trailing bytes", head + " 01 41 80 00", "bytes after the end", true},
		{"duplicate key", "a3 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80 01 41 80", "duplicate map key", true},
		{"keys out of order", "a2 01 41 80 00 a2 00 65 6c6e6b2f31 01 44 00000001", "the headers are missing", false},
		{"headers out of order", "a1 00 a2 01 44 00000001 00 65 6c6e6b2f31", "ua header must", true},
		{"non-shortest key", "a2 18 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80", "missing", false},
		{"non-shortest length", head + " 01 58 01 80", "shortest form", true},
		{"non-shortest map", "b8 02 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80", "shortest form", false},
		{"indefinite map", "bf 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80 ff", "indefinite length", false},
		{"indefinite payload", head + " 01 5f 41 80 ff", "indefinite length", true},
		{"tagged rq", "a2 00 a2 00 65 6c6e6b2f31 01 c2 44 00000001 01 41 80", "want a byte string, have a tag", false},
		{"tagged payload", head + " 01 d8 18 41 80", "want a byte string, have a tag", true},
		{"text for rq", "a2 00 a2 00 65 6c6e6b2f31 01 64 61616161 01 41 80", "want a byte string, have a text string", false},
		{"bytes for ua", "a2 00 a2 00 45 6c6e6b2f31 01 44 00000001 01 41 80", "want a text string, have a byte string", true},
		{"null for ua", "a2 00 a2 00 f6 01 44 00000001 01 41 80", "want a text string, have a simple value", true},
		{"list for rq", "a2 00 a2 00 65 6c6e6b2f31 01 84 00000001 01 41 80", "want a byte string, have an array", false},
		{"ua is not UTF-8", "a2 00 a2 00 65 6c6e6b2fff 01 44 00000001 01 41 80", "not UTF-8", true},
		{"ua too short", "a2 00 a2 00 63 6c6e6b 01 44 00000001 01 41 80", "4 to 64 bytes", true},
		{"ua too long", "a2 00 a2 00 78 41 " + strings.Repeat("61", 65) + " 01 44 00000001 01 41 80", "4 to 64 bytes", true},
		{"rq too short", "a2 00 a2 00 65 6c6e6b2f31 01 43 000001 01 41 80", "4 to 16 bytes", false},
		{"rq too long", "a2 00 a2 00 65 6c6e6b2f31 01 51 " + strings.Repeat("00", 17) + " 01 41 80", "4 to 16 bytes", false},
		{"rq missing", "a2 00 a1 00 65 6c6e6b2f31 01 41 80", "rq header is missing", false},
		{"unknown low key", "a3 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80 0f 00", "unknown map key", true},
		{"unknown low header", "a2 00 a3 00 65 6c6e6b2f31 01 44 00000001 0f 00 01 41 80", "unknown map key", true},
		{"negative key", "a3 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80 20 00", "not an unsigned integer", true},
		{"text key", "a3 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80 61 61 00", "not an unsigned integer", true},
		{"ignored keys out of order", "a4 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80 11 00 10 00", "out of order", true},
		{"ignored key is malformed", "a3 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80 10 ff", "indefinite", true},
		{"ignored key is nested deeply", "a3 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80 10 " + strings.Repeat("81", 1000) + "00", "nested too deeply", true},
		{"payload is a map", "a2 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 a0", "want a byte string, have a map", true},
	}
	for _, test := range tests {
		var r request
		err := r.parse(unhex(t, test.envelope))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if answered := r.rq != nil; answered != test.answered {
			t.Errorf("%s: the request id was read: %v", test.name, answered)
		}
	}
}

func TestResponsesThatAreRefused(t *testing.T) {
	tests := []struct{ name, envelope, want string }{
		{"no rq", "a1 00 a0", "rq header is missing"},
		{"text for payload", "a2 00 a1 00 44 00000001 01 61 61", "want a byte string"},
		{"message of an ok", "a3 00 a1 00 44 00000001 01 41 80 02 61 61", "unknown map key"},
		{"message without code", "a2 00 a1 00 44 00000001 02 61 61", "unknown map key"},
		{"bytes for message", "a3 00 a1 00 44 00000001 01 02 02 41 61", "want a text string"},
		{"negative code", "a2 00 a1 00 44 00000001 01 20", "want a byte string"},
		{"headers of a request", "a1 00 a2 00 65 6c6e6b2f31 01 44 00000001", "want a byte string"},
	}
	for _, test := range tests {
		var r response
		if err := r.parse(unhex(t, test.envelope)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// TestLaterKeysAreIgnored checks both sides of the rule that leaves room for later versions.
func TestLaterKeysAreIgnored(t *testing.T) {
	envelope := unhex(t, "a4 00 a3 00 65 6c6e6b2f31 01 44 00000001 10 f6 01 41 80 10 a1 61 61 80 18 63 f5")
	var r request
	if err := r.parse(envelope); err != nil {
		t.Fatal(err)
	}
	if string(r.payload) != "\x80" || r.more.n != 2 || r.headerMore.n != 1 {
		t.Errorf("%+v", r)
	}
	if got := r.appendTo(nil)[frameHead:]; !bytes.Equal(got, envelope) {
		t.Errorf("encodes to %x", got)
	}
	var c call
	if err := c.parse(unhex(t, "a2 00 61 61 10 00")); err != nil || string(c.method) != "a" {
		t.Errorf("call: %+v, %v", c, err)
	}
	if err := c.parse(unhex(t, "a2 00 61 61 04 00")); err == nil {
		t.Error("a call with key 4 was accepted")
	}
}

func drawBytes(t *rapid.T, label string, least, most int) []byte {
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), least, most).Draw(t, label)...)
}

func drawOptionalBytes(t *rapid.T, label string) []byte {
	if rapid.Bool().Draw(t, label+" present") {
		return drawBytes(t, label, 0, 300)
	}
	return nil
}

func drawOptional(t *rapid.T, label string) optional {
	if rapid.Bool().Draw(t, label+" present") {
		return optional{rapid.Uint64().Draw(t, label), true}
	}
	return optional{}
}

func TestEnvelopesSurviveARoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := request{
			ua:      []byte(rapid.StringMatching(`[a-z/.0-9]{4,64}`).Draw(t, "ua")),
			rq:      drawBytes(t, "rq", minRequestID, maxRequestID),
			token:   drawOptionalBytes(t, "token"),
			payload: drawOptionalBytes(t, "payload"),
		}
		var gotQ request
		if err := gotQ.parse(q.appendTo(nil)[frameHead:]); err != nil || !reflect.DeepEqual(gotQ, q) {
			t.Fatalf("request %+v became %+v, %v", q, gotQ, err)
		}
		a := response{rq: q.rq, payload: q.payload}
		if rapid.Bool().Draw(t, "error") {
			a = response{rq: q.rq, isError: true, code: rapid.Uint64().Draw(t, "code"), message: []byte(rapid.String().Draw(t, "message"))}
		}
		var gotA response
		if err := gotA.parse(a.appendTo(nil)[frameHead:]); err != nil || !reflect.DeepEqual(gotA, a) {
			t.Fatalf("response %+v became %+v, %v", a, gotA, err)
		}
	})
}

func TestCallsSurviveARoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := call{
			method:  []byte(rapid.StringMatching(`[a-z.]{0,64}`).Draw(t, "method")),
			timeout: drawOptional(t, "timeout"),
			credit:  drawOptional(t, "credit"),
		}
		if arguments := drawOptionalBytes(t, "arguments"); arguments != nil {
			want.arguments = appendString(nil, majorBytes, arguments)
		}
		var got call
		if err := got.parse(want.appendTo(nil)); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("call %+v became %+v, %v", want, got, err)
		}
	})
}

// TestAnyEnvelopeSurvives draws envelopes and calls with every field that there may be: they must come back as they were, and
// to the same bytes.
func TestAnyEnvelopeSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := func(name string, least, most int) []byte {
			return rapid.SliceOfN(rapid.Byte(), least, most).Draw(t, name)
		}
		maybe := func(name string) []byte {
			if !rapid.Bool().Draw(t, "has "+name) {
				return nil
			}
			return part(name, 0, 300)
		}
		later := func(name string) (e extra) {
			for key := range rapid.Uint64Range(0, 3).Draw(t, name) {
				e.n++
				e.raw = appendString(appendHead(e.raw, majorUint, firstIgnoredKey+key*20), majorBytes, part(name, 0, 30))
			}
			return e
		}
		text := func(name string, least, most int) []byte {
			return []byte(rapid.StringOfN(rapid.Rune(), least, -1, most).Draw(t, name))
		}
		q := request{
			ua: text("ua", minUserAgent, maxUserAgent), rq: part("rq", minRequestID, maxRequestID), token: maybe("token"), payload: maybe("payload"),
			headerMore: later("headers"), more: later("more"),
		}
		var gotQ request
		survives(t, q.appendTo(nil)[frameHead:], &gotQ, q)
		a := response{rq: q.rq, payload: q.payload, headerMore: q.headerMore, more: q.more}
		if rapid.Bool().Draw(t, "an error") {
			a.isError, a.code, a.payload, a.message = true, rapid.Uint64().Draw(t, "code"), nil, text("message", 0, 300)
		}
		var gotA response
		survives(t, a.appendTo(nil)[frameHead:], &gotA, a)
		c := call{
			method: text("method", 0, maxMethod), timeout: optional{rapid.Uint64().Draw(t, "timeout"), true},
			credit: optional{rapid.Uint64().Draw(t, "credit"), true}, more: q.more,
		}
		if b := maybe("arguments"); b != nil {
			c.arguments = appendString(nil, majorBytes, b)
		}
		var gotC call
		survives(t, c.appendTo(nil), &gotC, c)
	})
}

// survives parses b into got, which must then be want and encode to b.
func survives[E any, P interface {
	*E
	parse([]byte) error
	appendTo([]byte) []byte
}](t *rapid.T, b []byte, got P, want E) {
	if err := got.parse(b); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	if fmt.Sprintf("%v", *got) != fmt.Sprintf("%v", want) || !bytes.HasSuffix(got.appendTo(nil), b) {
		t.Fatalf("%x: %+v, want %+v", b, *got, want)
	}
}
