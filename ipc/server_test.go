package ipc

import (
	"bytes"
	"context"
	"encoding/binary"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestMalformedFrames sends each kind of broken frame to a live server: a clear error comes back, with the request's id where
// that could be read, and the connection goes on.
func TestMalformedFrames(t *testing.T) {
	const head = "a2 00 a2 00 65 6c6e6b2f31 01 44 00000007 01"
	tests := []struct {
		name, envelope string
		id             uint32
		code           Code
	}{
		{"nothing", "", 0, BadRequest},
		{"not CBOR", "ff", 0, BadRequest},
		{"duplicate key", "a3 00 a2 00 65 6c6e6b2f31 01 44 00000007 01 41 80 01 41 80", 7, BadRequest},
		{"non-shortest", head + " 58 01 80", 7, BadRequest},
		{"payload is no map", head + " 41 80", 7, BadRequest},
		{"call without method", head + " 41 a0", 7, BadRequest},
		{"call with unknown key", head + " 45 a2 00 61 61 04 00", 7, BadRequest},
		{"arguments with a tag", head + " 46 a2 00 61 61 01 c1 00", 7, BadRequest},
		{"deep nesting", head + " 59 03ec a2 00 61 61 01 " + string(bytes.Repeat([]byte("81"), 998)) + "00", 7, BadRequest},
		{"unknown method", head + " 44 a1 00 61 61", 7, UnknownMethod},
		{"reserved id", "a2 00 a2 00 65 6c6e6b2f31 01 44 00000000 01 4b a1 00 68 6970632e70696e67", 0, BadRequest},
		{"credit for a unary method", head + " 4d a2 00 68 6970632e70696e67 03 01", 7, BadRequest},
		{"timeout that has passed", head + " 4d a2 00 68 6970632e70696e67 02 00", 7, DeadlineExceeded},
	}
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		c := r.raw(nil)
		for _, test := range tests {
			t.Log(test.name)
			envelope := unhex(t, test.envelope)
			c.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(envelope))), envelope...))
			c.expect(test.id, test.code, nil)
			c.send(1, callOf("ipc.ping"))
			c.expect(1, 0, nil)
		}
		c.Close()
	})
}

func TestOversizeFrames(t *testing.T) {
	bubble(t, &Server{Mux: testMux(), Limits: Limits{MaxFrame: 1000, MaxSkip: 5000}}, func(t *testing.T, r *rig) {
		c := r.raw(nil)
		big := request{ua: exampleUA, rq: []byte{0, 0, 0, 9}, payload: make([]byte, 2000)}
		c.write(big.appendTo(nil))
		a := <-c.answers
		if want := "message of 2020 bytes exceeds the limit of 1000"; Code(a.code) != TooLarge || a.rq[3] != 9 || string(a.message) != want {
			t.Errorf("code %d, id %x, %q", a.code, a.rq, a.message)
		}
		c.send(1, callOf("ipc.ping"))
		c.expect(1, 0, nil)
		c.write([]byte{0, 0, 0x13, 0x89})
		c.expectEnd()
	})
}

// TestLengthsAreNotTrusted checks that a length alone makes nobody allocate.
func TestLengthsAreNotTrusted(t *testing.T) {
	for _, head := range [][]byte{{0, 0x40, 0, 0}, {0, 0x40, 0, 1}, {4, 0, 0, 0}, {4, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff}} {
		in := frameReader{src: bytes.NewReader(head), limit: defaultMaxFrame, abort: defaultMaxSkip}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, _, err := in.next(); err == nil {
			t.Errorf("%x: no error", head)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > firstChunk+1<<20 {
			t.Errorf("%x: allocated %d bytes", head, took)
		}
	}
}

func TestCancel(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		c := r.raw(nil)
		c.send(1, callOf("test.hang"))
		c.send(2, nil) // nothing to cancel
		c.send(1, nil)
		c.send(1, nil) // twice, or late
		c.expect(1, Cancelled, nil)
		c.send(3, callOf("ipc.ping"))
		c.expect(3, 0, nil)
		c.send(4, callOf("test.hang"))
		c.Close()
		c.expectEnd()
	})
}

// TestCancelOfAClient checks that the caller is back at once, that the handler hears of it, and that the late answer
// disturbs nobody.
func TestCancelOfAClient(t *testing.T) {
	mux, told := testMux(), make(chan struct{})
	slow := Unary[Empty, Empty]{Name: "test.slow"}
	slow.Handle(mux, func(ctx context.Context, _ Empty) (Empty, error) {
		<-ctx.Done()
		close(told)
		time.Sleep(time.Minute)
		return Empty{}, nil
	})
	bubble(t, &Server{Mux: mux}, func(t *testing.T, r *rig) {
		told = make(chan struct{})
		c := r.client()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if _, err := slow.Call(ctx, c, Empty{}); CodeOf(err) != Cancelled {
			t.Error(err)
		}
		<-told
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		time.Sleep(2 * time.Minute)
		if _, err := Ping.Call(t.Context(), c, Empty{}); err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

func TestDeadlines(t *testing.T) {
	mux := testMux()
	left := Unary[Empty, int64]{Name: "test.left"}
	left.Handle(mux, func(ctx context.Context, _ Empty) (int64, error) {
		deadline, _ := ctx.Deadline()
		return int64(time.Until(deadline)), nil
	})
	bubble(t, &Server{Mux: mux}, func(t *testing.T, r *rig) {
		c := r.client()
		if got, err := left.Call(t.Context(), c, Empty{}); err != nil || time.Duration(got) != callTimeout {
			t.Errorf("without deadline: %v, %v", time.Duration(got), err)
		}
		start := time.Now()
		if _, err := hang.Call(t.Context(), c, Empty{}); CodeOf(err) != DeadlineExceeded || time.Since(start) != callTimeout {
			t.Errorf("without deadline: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start = time.Now()
		if _, err := hang.Call(ctx, c, Empty{}); CodeOf(err) != DeadlineExceeded || time.Since(start) != 5*time.Second {
			t.Errorf("with deadline: %v after %v", err, time.Since(start))
		}
		if _, err := hang.Call(ctx, c, Empty{}); CodeOf(err) != DeadlineExceeded {
			t.Errorf("with a deadline that has passed: %v", err)
		}
		for _, err := range count.Call(ctx, c, echoArgs{}) {
			if CodeOf(err) != DeadlineExceeded {
				t.Errorf("stream with a deadline that has passed: %v", err)
			}
		}
		c.Close()
	})
}

func TestRequestIDInFlight(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		c := r.raw(nil)
		c.send(1, callOf("test.hang"))
		c.send(1, callOf("ipc.ping"))
		c.expect(0, BadRequest, nil)
		c.send(1, &call{credit: optional{1, true}}) // of a unary call
		c.expect(0, BadRequest, nil)
		c.send(1, &call{method: []byte{0xff}})
		c.expect(0, BadRequest, nil)
		c.send(1, nil)
		c.expect(1, Cancelled, nil)
		c.send(1, callOf("ipc.ping"))
		c.expect(1, 0, nil)
		c.Close()
	})
}

func TestCredit(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		c := r.raw(nil)
		numbers := callOf("test.count")
		numbers.arguments = unhex(t, "a2 00 61 78 01 05")
		numbers.credit = optional{2, true}
		c.send(1, numbers)
		c.expect(1, 0, []byte{0})
		c.expect(1, 0, []byte{1})
		synctest.Wait()
		if len(c.answers) != 0 {
			t.Error("an item was sent without credit")
		}
		c.send(1, &call{credit: optional{0, true}})
		c.send(1, &call{credit: optional{1<<64 - 1, true}})
		c.send(1, &call{credit: optional{1<<64 - 1, true}}) // must not wrap around
		for i := byte(2); i < 5; i++ {
			c.expect(1, 0, []byte{i})
		}
		c.expect(1, 0, nil)
		c.send(1, &call{credit: optional{1, true}}) // late
		numbers.credit = optional{}
		c.send(2, numbers)
		for i := range byte(5) {
			c.expect(2, 0, []byte{i})
		}
		c.expect(2, 0, nil)
		c.Close()
	})
}

func TestAnswersThatAreTooLarge(t *testing.T) {
	mux := testMux()
	huge := Unary[Empty, []byte]{Name: "test.huge"}
	huge.Handle(mux, func(context.Context, Empty) ([]byte, error) { return make([]byte, defaultMaxFrame), nil })
	hugeItem := Stream[Empty, []byte]{Name: "test.huge-item"}
	hugeItem.Handle(mux, func(context.Context, Empty) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) { yield(make([]byte, defaultMaxFrame), nil) }
	})
	bubble(t, &Server{Mux: mux}, func(t *testing.T, r *rig) {
		c := r.client()
		if _, err := huge.Call(t.Context(), c, Empty{}); CodeOf(err) != TooLarge {
			t.Error(err)
		}
		for _, err := range hugeItem.Call(t.Context(), c, Empty{}) {
			if CodeOf(err) != TooLarge {
				t.Error(err)
			}
		}
		if _, err := echo.Call(t.Context(), c, make([]byte, defaultMaxFrame)); CodeOf(err) != TooLarge {
			t.Error(err)
		}
		if got, err := echo.Call(t.Context(), c, make([]byte, defaultMaxFrame-2*envelopeRoom)); err != nil || len(got) == 0 {
			t.Errorf("just not too large: %v", err)
		}
		c.Close()
	})
}

// A tally is an Activity.
type tally struct {
	mu           sync.Mutex
	now, highest int
}

func (a *tally) Add(delta int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now += delta
	a.highest = max(a.highest, a.now)
}

func TestActivity(t *testing.T) {
	activity := new(tally)
	bubble(t, &Server{Mux: testMux(), Activity: activity}, func(t *testing.T, r *rig) {
		c := r.client()
		for range count.Call(t.Context(), c, echoArgs{Text: "x", N: 10}) {
		}
		synctest.Wait() // the answer may be there before the server has counted it
		_, _ = Ping.Call(t.Context(), c, Empty{})
		synctest.Wait()
		_, _ = panicking.Call(t.Context(), c, Empty{})
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, _ = hang.Call(ctx, c, Empty{})
		c.Close()
		raw := r.raw(nil)
		raw.send(1, callOf("test.hang"))
		raw.Close()
	})
	if activity.now != 0 || activity.highest != 1 {
		t.Errorf("%d in flight at the end, at most %d", activity.now, activity.highest)
	}
}

// TestLog checks that a defect is logged with its cause, which the caller does not learn, and that requests are logged
// when that is asked for.
func TestLog(t *testing.T) {
	for level, want := range map[slog.Level][]string{
		slog.LevelInfo: {
			`level=ERROR msg="handler panicked" method=test.panic err=defect`,
			`level=ERROR msg="call failed" method=test.panic err="panic in test.panic: defect"`,
		},
		slog.LevelDebug: {
			`level=ERROR msg="handler panicked" method=test.panic err=defect`,
			`level=ERROR msg="call failed" method=test.panic err="panic in test.panic: defect"`,
			`level=DEBUG msg=call method=test.fail took=0s code="not found" err="cannot look: no such thing"`,
			`level=DEBUG msg=call method=ipc.ping took=0s`,
		},
	} {
		var log bytes.Buffer
		handler := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "stack" {
				return slog.Attr{}
			}
			return a
		}})
		bubble(t, &Server{Mux: testMux(), Log: slog.New(handler)}, func(t *testing.T, r *rig) {
			c := r.client()
			_, _ = panicking.Call(t.Context(), c, Empty{})
			_, _ = failing.Call(t.Context(), c, Empty{})
			_, _ = Ping.Call(t.Context(), c, Empty{})
			c.Close()
		})
		if got := strings.Split(strings.TrimSpace(log.String()), "\n"); !slices.Equal(got, want) {
			t.Errorf("level %v:\n%s", level, strings.Join(got, "\n"))
		}
	}
}

// TestLateCallIsLogged checks that the server tells of a call that its caller waited for in vain, and of no other.
func TestLateCallIsLogged(t *testing.T) {
	var log bytes.Buffer
	bubble(t, &Server{Mux: testMux(), Log: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, r *rig) {
		c := r.client()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(callTimeout/2, cancel)
		_, _ = hang.Call(ctx, c, Empty{})
		synctest.Wait()
		if log.Len() > 0 {
			t.Errorf("a call that was cancelled: %s", &log)
		}
		_, _ = hang.Call(t.Context(), c, Empty{})
		c.Close()
	})
	told := slices.DeleteFunc(strings.SplitAfter(log.String(), "\n"), func(line string) bool {
		return line == "" || strings.Contains(line, `msg="connection ended"`)
	})
	if len(told) != 1 || !strings.Contains(told[0], `level=WARN msg="call was not answered in time" method=test.hang late=0s err="context `) {
		t.Errorf("a call that its caller gave up at the deadline: %q", told)
	}
}
