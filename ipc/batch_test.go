package ipc

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// numbers yields the numbers below n as arguments of test.odd.
func numbers(n uint64) func(func(uint64) bool) {
	return func(yield func(uint64) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// odd returns odd numbers and refuses even ones.
var odd = Unary[uint64, uint64]{Name: "test.odd"}

func oddMux() *Mux {
	mux := testMux()
	odd.Handle(mux, func(_ context.Context, n uint64) (uint64, error) {
		if n%2 == 0 {
			return 0, Errorf(NotFound, "%d is even", n)
		}
		return n, nil
	})
	return mux
}

// TestBatch checks that each result and each error comes once and in its place, for batches below and above each limit.
func TestBatch(t *testing.T) {
	c := testClient(t, serve(t, &Server{Mux: oddMux()}))
	for _, n := range []uint64{0, 1, groupCalls - 1, groupCalls, groupCalls + 1, batchGroups * groupCalls, batchGroups*groupCalls + 1, 5000} {
		next := uint64(0)
		for got, err := range odd.Batch(t.Context(), c, numbers(n)) {
			if next%2 == 1 && (err != nil || got != next) || next%2 == 0 && CodeOf(err) != NotFound {
				t.Fatalf("%d of %d: %d, %v", next, n, got, err)
			}
			next++
		}
		if next != n {
			t.Errorf("%d results of %d", next, n)
		}
	}
}

func TestBatchOfLargeArguments(t *testing.T) {
	c := testClient(t, serve(t, &Server{Mux: testMux()}))
	argument := make([]byte, 1<<20) // always the same memory
	args := func(yield func([]byte) bool) {
		for i := range byte(150) {
			argument[0] = i
			if !yield(argument) {
				return
			}
		}
	}
	next := byte(0)
	for got, err := range echoSlow.Batch(t.Context(), c, args) {
		if err != nil || len(got) != len(argument) || got[0] != next {
			t.Fatalf("%d: %d bytes, %v", next, len(got), err)
		}
		next++
	}
	tooLarge := slices.Values([][]byte{{1}, make([]byte, defaultMaxFrame), {2}})
	var codes []Code
	for _, err := range echo.Batch(t.Context(), c, tooLarge) {
		codes = append(codes, CodeOf(err))
	}
	if next != 150 || !slices.Equal(codes, []Code{0, TooLarge, 0}) {
		t.Errorf("%d results, then codes %v", next, codes)
	}
}

// TestBatchIsLeft checks that leaving the loop cancels what is in flight, that the end of the context ends every call, and
// that the connection is as good as before.
func TestBatchIsLeft(t *testing.T) {
	mux, activity := testMux(), new(tally)
	late := Unary[uint64, Empty]{Name: "test.late"}
	late.Handle(mux, func(ctx context.Context, n uint64) (Empty, error) {
		if n >= groupCalls {
			<-ctx.Done()
		}
		return Empty{}, ctx.Err()
	})
	bubble(t, &Server{Mux: mux, Activity: activity}, func(t *testing.T, r *rig) {
		c := r.client()
		start := time.Now()
		for _, err := range late.Batch(t.Context(), c, numbers(1000)) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		synctest.Wait()
		if activity.now != 0 || activity.highest > batchGroups*groupCalls || time.Since(start) != 0 {
			t.Errorf("%d calls still run, of %d, after %v", activity.now, activity.highest, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n := 0
		for _, err := range late.Batch(ctx, c, numbers(1000)) {
			if n++; n > groupCalls && CodeOf(err) != DeadlineExceeded || n <= groupCalls && err != nil {
				t.Errorf("%d: %v", n, err)
			}
		}
		if n != 1000 || time.Since(start) != time.Second {
			t.Errorf("%d results after %v", n, time.Since(start))
		}
		if _, err := Ping.Call(t.Context(), c, Empty{}); err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

// TestBatchWithSlowConsumer lets the consumer take more time than a daemon grants those who do not read: the connection must
// be read for it, and for others at once.
func TestBatchWithSlowConsumer(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		c := r.client()
		n := 0
		for got, err := range echo.Batch(t.Context(), c, slices.Values(slices.Repeat([][]byte{make([]byte, 1000)}, 1000))) {
			if err != nil || len(got) != 1000 {
				t.Fatal(n, err)
			}
			if n++; n == 1 {
				start := time.Now()
				if _, err := Ping.Call(t.Context(), c, Empty{}); err != nil || time.Since(start) != 0 {
					t.Errorf("another call: %v after %v", err, time.Since(start))
				}
			}
			if n%200 == 1 {
				time.Sleep(2 * defaultStall)
			}
		}
		if n != 1000 || len(c.conns) != 1 {
			t.Errorf("%d results, %d connections", n, len(c.conns))
		}
		c.Close()
	})
}

// TestBatchOverALostConnection has the first daemon answer some calls and refuse some before it hangs up: what was refused
// is sent to the second, and what may have been executed is reported.
func TestBatchOverALostConnection(t *testing.T) {
	const calls, answered, refused = 100, 30, 20
	answer := func(conn net.Conn, n int, a response) {
		for range n {
			answerTo(t, conn, a)
		}
	}
	ok := response{payload: appendString(nil, majorBytes, []byte{1})}
	c := script(t, func(conn net.Conn) {
		answer(conn, answered, ok)
		answer(conn, refused, response{isError: true, code: uint64(GoingAway)})
		for range calls - answered - refused {
			readFrame(conn)
		}
	}, func(conn net.Conn) {
		answer(conn, refused, response{payload: appendString(nil, majorBytes, []byte{2})})
	})
	var got bytes.Buffer
	for result, err := range echo.Batch(t.Context(), c, slices.Values(make([][]byte, calls))) {
		switch {
		case err == nil:
			got.WriteByte('0' + result[0])
		case CodeOf(err) == Unavailable && strings.Contains(HintOf(err), "may have been executed"):
			got.WriteByte('?')
		default:
			t.Error(err)
		}
	}
	want := strings.Repeat("1", answered) + strings.Repeat("2", refused) + strings.Repeat("?", calls-answered-refused)
	if got.String() != want {
		t.Errorf("got  %s\nwant %s", &got, want)
	}
}

// TestBatchesShareAConnection runs batches, single calls and a stream side by side.
func TestBatchesShareAConnection(t *testing.T) {
	c := testClient(t, serve(t, &Server{Mux: oddMux()}))
	done := make(chan struct{})
	for range 3 {
		go func() {
			defer func() { done <- struct{}{} }()
			next := uint64(0)
			for got, err := range odd.Batch(t.Context(), c, numbers(3000)) {
				if next%2 == 1 && (err != nil || got != next) {
					t.Errorf("%d: %d, %v", next, got, err)
				}
				next++
			}
		}()
	}
	go func() {
		defer func() { done <- struct{}{} }()
		for i := range uint32(500) {
			want := binary.BigEndian.AppendUint32(nil, i)
			if got, err := echo.Call(t.Context(), c, want); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%x: %x, %v", want, got, err)
			}
		}
	}()
	for i, err := range count.Call(t.Context(), c, echoArgs{Text: "x", N: 5000}) {
		if err != nil {
			t.Fatal(i, err)
		}
	}
	for range 4 {
		<-done
	}
}

// TestBatchAgainstADaemonThatHangs has no deadline but that of every call: the batch reads its own answers, and must hear
// that the time is up although none comes.
func TestBatchAgainstADaemonThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := NewClient("pipe", "test/1")
		c.dial = func(context.Context, string) (net.Conn, error) { return ours, nil }
		go io.Copy(io.Discard, theirs)
		start, n := time.Now(), 0
		for _, err := range odd.Batch(t.Context(), c, numbers(groupCalls+1)) {
			if n++; CodeOf(err) != DeadlineExceeded {
				t.Errorf("%d: %v", n, err)
			}
		}
		if n != groupCalls+1 || time.Since(start) != callTimeout {
			t.Errorf("%d results after %v", n, time.Since(start))
		}
		c.Close()
		theirs.Close()
	})
}

// TestBatchesNeedNoOthers has batches in flight that together want more calls, or more bytes, than a connection takes, and
// nobody else who would read for them.
func TestBatchesNeedNoOthers(t *testing.T) {
	for size, n := range map[int]int{0: 2000, 100_000: 40} {
		bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
			c, start := r.client(), time.Now()
			args := slices.Repeat([][]byte{make([]byte, size)}, n)
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					for _, err := range echoSlow.Batch(t.Context(), c, slices.Values(args)) {
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			if took := time.Since(start); took != 0 {
				t.Errorf("%d bytes: an answer lay there for %v", size, took)
			}
			c.Close()
		})
	}
}

// TestBatchIsTracedAndGuarded checks that each call of a batch is traced and carries the token.
func TestBatchIsTracedAndGuarded(t *testing.T) {
	guard := func(_ context.Context, _ MethodInfo, token []byte) error {
		if string(token) != "secret" {
			return Errorf(PermissionDenied, "token %q", token)
		}
		return nil
	}
	bubble(t, &Server{Mux: testMux(), Authorize: guard}, func(t *testing.T, r *rig) {
		c := r.client()
		c.Token = []byte("secret")
		var mu sync.Mutex
		traced := map[bool]int{}
		c.Trace = func(sent bool, frame []byte) {
			mu.Lock()
			defer mu.Unlock()
			if traced[sent]++; sent {
				var q request
				if err := q.parse(frame); err != nil || string(q.token) != "secret" {
					t.Errorf("%x: %v", frame, err)
				}
			}
		}
		for _, err := range echo.Batch(t.Context(), c, slices.Values(make([][]byte, 3))) {
			if err != nil {
				t.Error(err)
			}
		}
		c.Close()
		if traced[true] != 3 || traced[false] != 3 {
			t.Errorf("frames traced: %v", traced)
		}
	})
}

// TestBatchOfLargeArgumentsIsCutEarly checks that a batch does not gather more than the limit of a group.
func TestBatchOfLargeArgumentsIsCutEarly(t *testing.T) {
	bubble(t, &Server{Mux: testMux()}, func(t *testing.T, r *rig) {
		c, taken, n := r.client(), 0, 0
		args := func(yield func([]byte) bool) {
			for taken = 1; taken <= 100 && yield(make([]byte, groupBytes/4)); taken++ {
			}
		}
		for _, err := range echoSlow.Batch(t.Context(), c, args) {
			if n++; err != nil || taken > n+4*batchGroups {
				t.Errorf("%d arguments were taken at result %d, %v", taken, n, err)
			}
		}
		if n != 100 {
			t.Errorf("%d results", n)
		}
		c.Close()
	})
}

// TestGroupFrames checks that the frames which a group puts together are the ones that appendTo makes.
func TestGroupFrames(t *testing.T) { synctest.Test(t, checkGroupFrames) } // time stands still

func checkGroupFrames(t *testing.T) {
	for _, token := range [][]byte{nil, []byte("secret")} {
		for _, args := range [][][]byte{nil, {{}}, {make([]byte, 22), make([]byte, 23), make([]byte, 255), make([]byte, 1<<16)}} {
			g := new(Client).takeGroup("test.echo")
			if args == nil {
				addCall(g, Empty{})
			}
			for _, a := range args {
				addCall(g, a)
			}
			g.deadline = time.Now().Add(time.Hour)
			var want []byte
			for i, p := range g.calls {
				p.id = uint32(1000 + i)
				c := call{method: g.method, arguments: g.arguments(p), timeout: optional{3_600_000, true}}
				r := request{ua: exampleUA, rq: binary.BigEndian.AppendUint32(nil, p.id), token: token, payload: c.appendTo(nil)}
				want = r.appendTo(want)
			}
			if got := g.frames(exampleUA, token).frame; !bytes.Equal(got, want) || g.calls[len(g.calls)-1].ahead != len(want) || g.size != len(want) {
				t.Errorf("token %q, %d calls:\n%.200x\n%.200x", token, len(g.calls), got, want)
			}
		}
	}
}
