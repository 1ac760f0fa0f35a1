package ipc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A doorman lets those pass who show the right token, and counts whom it was asked about.
type doorman struct {
	asked atomic.Int64
	wait  chan struct{} // nil, or what it waits for
}

func (d *doorman) authorize(_ context.Context, m MethodInfo, token []byte) error {
	d.asked.Add(1)
	if d.wait != nil {
		<-d.wait
	}
	if string(token) != "for "+m.Name {
		return Errorf(PermissionDenied, "%s demands a token", m.Name).WithHint("get one")
	}
	return nil
}

func TestAuthorize(t *testing.T) {
	door, ran := &doorman{}, false
	mux := testMux()
	enter := Unary[echoArgs, Empty]{Name: "test.enter", Inline: true}
	enter.Handle(mux, func(context.Context, echoArgs) (Empty, error) {
		ran = true
		return Empty{}, nil
	})
	path := serve(t, &Server{Mux: mux, Authorize: door.authorize})
	with := func(token string) *Client {
		c := testClient(t, path)
		c.Token = []byte(token)
		return c
	}
	ctx := t.Context()
	for _, c := range []*Client{testClient(t, path), with("wrong"), with(string(make([]byte, maxToken+1))), with("for test.say")} {
		if _, err := enter.Call(ctx, c, echoArgs{Text: "x"}); !errors.Is(err, PermissionDenied) || ran {
			t.Errorf("with the token %.20q: %v, ran %v", c.Token, err, ran)
		}
		if _, err := Ping.Call(ctx, c, Empty{}); err != nil {
			t.Errorf("introspection with the token %.20q: %v", c.Token, err)
		}
	}
	if n := door.asked.Load(); n != 3 { // nobody asks about a token that is too long
		t.Errorf("asked %d times", n)
	}
	if _, err := testClient(t, path).CallRaw(ctx, "test.enter", []byte{0xff}); !errors.Is(err, BadRequest) {
		t.Errorf("a broken frame: %v", err)
	}
	if _, err := with("wrong").CallRaw(ctx, "test.enter", emptyMap); !errors.Is(err, PermissionDenied) || HintOf(err) != "get one" {
		t.Errorf("bad arguments and no right to say so: %v, hint %q", err, HintOf(err))
	}
	if _, err := enter.Call(ctx, with("for test.enter"), echoArgs{Text: "x"}); err != nil || !ran {
		t.Errorf("with the right token: %v, ran %v", err, ran)
	}
	items := 0
	for _, err := range count.Call(ctx, with("for test.count"), echoArgs{Text: "x", N: 1000}) {
		if err != nil {
			t.Fatal(err)
		}
		items++
	}
	for _, err := range count.Call(ctx, with("wrong"), echoArgs{Text: "x", N: 1000}) {
		if items++; !errors.Is(err, PermissionDenied) {
			t.Errorf("a stream with the wrong token: %v", err)
		}
	}
	if items != 1001 {
		t.Errorf("%d items", items)
	}
	for _, size := range []int{1, 100 << 10, defaultMaxFrame / 2} {
		got, err := echoSlow.Call(ctx, with("for test.echo-slow"), make([]byte, size))
		if err != nil || len(got) != size {
			t.Errorf("an argument of %d bytes: %d, %v", size, len(got), err)
		}
	}
}

// TestAuthorizeOnlyWhatRuns: what was refused for another reason, or has ended before it could start, costs no token.
func TestAuthorizeOnlyWhatRuns(t *testing.T) {
	door := &doorman{}
	bubble(t, &Server{Mux: testMux(), Authorize: door.authorize}, func(t *testing.T, r *rig) {
		ours, theirs := net.Pipe()
		drain := make(chan struct{})
		r.served.Go(func() { r.server.ServeConn(r.ctx, theirs, drain) }) // it leaves and still reads
		c := rawOver(t, ours)
		sent := func(id uint32, k *call, want Code) {
			t.Helper()
			c.send(id, k)
			c.expect(id, want, nil)
		}
		sent(1, callOf("test.none"), UnknownMethod)
		late := callOf("test.hang")
		late.timeout = optional{0, true}
		sent(2, late, DeadlineExceeded)
		credited := callOf("test.hang")
		credited.credit = optional{1, true}
		sent(3, credited, BadRequest)
		close(drain)
		c.expect(0, GoingAway, nil)
		stream := callOf("test.count")
		stream.arguments = unhex(t, "a1 00 60")
		sent(4, stream, GoingAway)
		ours.Close()
	})
	if n := door.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// TestCancelledBeforeItStarted: a call that waits for its turn and is cancelled meanwhile costs no token.
func TestCancelledBeforeItStarted(t *testing.T) {
	k := &serverConn{srv: &Server{Authorize: func(context.Context, MethodInfo, []byte) error {
		t.Error("asked about a call that has ended")
		return nil
	}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&task{conn: k, guarded: true, ctx: ctx, method: &method{}}).authorize(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestDoormanHoldsUpNobody: others go on while one call waits for its permission, and a panic is a refusal.
func TestDoormanHoldsUpNobody(t *testing.T) {
	wait := make(chan struct{})
	door := &doorman{wait: wait}
	bubble(t, &Server{Mux: testMux(), Authorize: func(ctx context.Context, m MethodInfo, token []byte) error {
		switch m.Name {
		case echo.Name:
			return door.authorize(ctx, m, token)
		case failing.Name:
			panic("defect")
		}
		return nil
	}}, func(t *testing.T, r *rig) {
		door.wait = make(chan struct{}) // of this bubble
		c := r.client()
		c.Token = []byte("for test.echo")
		done := make(chan error)
		go func() {
			_, err := echo.Call(t.Context(), c, bytes.Repeat([]byte("x"), 100))
			done <- err
		}()
		synctest.Wait()
		for range 3 {
			if _, err := say.Call(t.Context(), c, echoArgs{Text: "meanwhile"}); err != nil {
				t.Error(err)
			}
		}
		if _, err := failing.Call(t.Context(), c, Empty{}); !errors.Is(err, Internal) {
			t.Errorf("a hook with a defect: %v", err)
		}
		time.Sleep(time.Second)
		close(door.wait)
		if err := <-done; err != nil {
			t.Error(err)
		}
		c.Close()
	})
}
