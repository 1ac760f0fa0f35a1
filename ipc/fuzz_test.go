package ipc

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
)

// seeds are envelopes, calls and items of all kinds, good and bad.
func seeds(f *testing.F) {
	for _, s := range []string{
		"", "a0", "f6", "a2 00 a2 00 65 6c6e6b2f31 01 44 00000001 01 41 80", "a1 00 a2 00 65 6c6e6b2f31 01 44 00000001",
		"a4 00 a3 00 65 6c6e6b2f31 01 44 00000001 10 f6 01 41 80 10 a1 61 61 80 18 63 f5", "a2 00 a1 00 44 00000001 01 41 80",
		"a1 00 a1 00 44 00000001", "a3 00 a1 00 44 00000001 01 02 02 66 6e6f206b6579", "a4 00 68 6970632e70696e67 01 a0 02 19 7530 03 18 20",
		"a1 03 05", "a3 00 60 01 00 05 44 00000000", "bf ff", "5b ffffffffffffffff", "bb ffffffffffffffff", "9a ffffffff", "fb 3ff0000000000000",
	} {
		f.Add(unhex(f, s))
	}
}

func FuzzRequest(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r request
		if r.parse(b) == nil && !bytes.Equal(r.appendTo(nil)[frameHead:], b) {
			t.Errorf("%x encodes to %x", b, r.appendTo(nil))
		}
	})
}

func FuzzResponse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r response
		if r.parse(b) == nil && !bytes.Equal(r.appendTo(nil)[frameHead:], b) {
			t.Errorf("%x encodes to %x", b, r.appendTo(nil))
		}
	})
}

func FuzzCall(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var c call
		if c.parse(b) == nil && !bytes.Equal(c.appendTo(nil), b) {
			t.Errorf("%x encodes to %x", b, c.appendTo(nil))
		}
	})
}

func FuzzItem(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) { checkAccepted(t, b) })
}

func FuzzUnmarshal(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second sample
		if Unmarshal(b, &first) != nil {
			return
		}
		again, err := Marshal(first)
		if err != nil {
			t.Fatalf("%x decodes to %+v: %v", b, first, err)
		}
		// An optional field may be there and empty, so the bytes may differ once.
		if err := Unmarshal(again, &second); err != nil {
			t.Fatalf("%x: %v", again, err)
		}
		if third, err := Marshal(second); err != nil || !bytes.Equal(third, again) {
			t.Errorf("%x, then %x, %v", again, third, err)
		}
	})
}

// FuzzFrame cuts one stream in two ways: the frames must be the same, and nothing may be allocated for what has not come.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01a\x00\x00\x00\x00"), uint8(1))
	f.Add([]byte("\x00\x00\x01\x01"+string(make([]byte, 300))+"\x00\x00\x00\x01b"), uint8(7))
	f.Add([]byte("\xff\xff\xff\xff"), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		whole := cut(bytes.NewReader(b))
		parts := cut(&slowReader{b, int(step)%32 + 1})
		if !reflect.DeepEqual(whole, parts) {
			t.Errorf("%q and %q", whole, parts)
		}
	})
}

func cut(src io.Reader) (frames []string) {
	in := frameReader{src: src, limit: 256, abort: 1024}
	for {
		frame, _, err := in.next()
		var oversize *oversizeError
		switch {
		case err == nil:
			frames = append(frames, string(frame))
		case errors.As(err, &oversize):
			frames = append(frames, "oversize "+string(oversize.head))
		default:
			return append(frames, err.Error())
		}
	}
}

// A slowReader gives step bytes at a time.
type slowReader struct {
	b    []byte
	step int
}

func (s *slowReader) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.b[:min(s.step, len(s.b))])
	s.b = s.b[n:]
	return n, nil
}

// FuzzUsual holds the parsers of the usual layouts against the ones that know all: what the former read, the latter read
// the same.
func FuzzUsual(f *testing.F) {
	seeds(f)
	for _, size := range []int{0, 23, 24, 255, 256, 65535, 65536} {
		payload := make([]byte, size)
		f.Add((&request{ua: exampleUA, rq: exampleRQ, payload: payload}).appendTo(nil)[frameHead:])
		f.Add((&response{rq: exampleRQ, payload: payload}).appendTo(nil)[frameHead:])
		f.Add((&call{method: []byte("test.echo"), arguments: appendString(nil, majorBytes, payload), timeout: optional{uint64(size), true}}).appendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var q, wantQ request
		if q.parseUsual(b) && (wantQ.parseAny(b) != nil || !reflect.DeepEqual(q, wantQ)) {
			t.Errorf("%x: %+v, want %+v", b, q, wantQ)
		}
		var a, wantA response
		if a.parseUsual(b) && (wantA.parseAny(b) != nil || !reflect.DeepEqual(a, wantA)) {
			t.Errorf("%x: %+v, want %+v", b, a, wantA)
		}
		var c, wantC call
		if c.parseUsual(b) && (wantC.parseAny(b) != nil || !reflect.DeepEqual(c, wantC)) {
			t.Errorf("%x: %+v, want %+v", b, c, wantC)
		}
	})
}
